"""train a recipe at several values of its fields, or with several seeds

One run after another, since a run uses the whole machine: seed=0..4 are five runs in DIR/seed-0/ to DIR/seed-4/, two
lists make every combination, in DIR/lr-0.1_seed-0/ and so on. Put a value that contains a comma in brackets or quotes:
policy.hidden=[32,32],[64].

The same command again continues: finished runs stay, stopped ones are resumed, and new values (seed=0..9) are added.
It ends with a table, and a picture in DIR/curves.png; strop show DIR and strop plot DIR make them again.
Intervals are Student's t over the seeds.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE, FAILED

EXAMPLES = """\
examples:
  strop sweep two_words seed=0..4
  strop sweep my.py algorithm=rloo,grpo seed=0..2 steps=40 --run runs/which
  strop sweep --run runs/which          continue it
  strop show which
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE | field=a,b", help="what to train, and the values of its fields"
    )
    parser.add_argument("--run", metavar="DIR", help="the sweep's folder (default: runs/RECIPE-sweep-DATE-TIME)")
    parser.add_argument("--dry-run", action="store_true", help="list the runs; train and write nothing")
    parser.add_argument("--json", action="store_true", help="print the list or the table as JSON")


def run(args: argparse.Namespace) -> int:
    """Train all of them, and compare."""
    from strop.cli import show_sweep, sweeping
    from strop.runs.directory import claim

    sweep, directory = sweeping.requested(args.words, args.run)
    if args.dry_run:
        show_sweep.members(sweep, directory, as_json=args.json)
        return DONE
    if not args.run:
        directory = claim(directory)
    errors = sweeping.train(sweep, directory)
    show_sweep.page(sweep, directory, errors, as_json=args.json)
    show_sweep.draw(sweep, directory)
    show_sweep.what_next(directory, errors)
    return FAILED if errors else DONE
