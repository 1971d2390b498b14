"""judge a run or a model on held-out prompts, with 95 % intervals

A run's checkpoint (RUN, RUN@40, RUN@best) plays its held-out prompts again with the same dice and is compared, prompt
by prompt, with the judgement at its start. With --recipe a model, or a run, is judged on another recipe's prompts.

Intervals are made for few prompts: Blaker's exact one where scores are right or wrong (two of them joined by MOVER for
their paired difference), Student's t for any other scores. Where all scores are equal and could be anything, or there
is one alone, they tell no interval, and that is said.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE

EXAMPLES = """\
examples:
  strop eval runs/first
  strop eval runs/first@best --json
  strop eval smollm2 --recipe story
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("who", metavar="RUN|MODEL", help="a run, a model folder, a model's name or a Hub id")
    parser.add_argument("--recipe", metavar="RECIPE", help="whose held-out prompts and rewards; needed for a model")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Judge."""
    from strop.cli import judging

    judging.show(judging.judge(args.who, args.recipe), as_json=args.json)
    return DONE
