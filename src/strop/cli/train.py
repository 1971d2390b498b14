"""train a recipe, or continue a run

RECIPE is a name (strop list recipes) or a file with `def recipe() -> strop.TrainConfig` (strop new my.py writes one).
Fields are set as path.to.field=value, for example steps=20, sampling.temperature=0.7, algorithm=rloo, policy.lora=none,
data=tasks.jsonl, rewards.length=0.5; --fields lists them all. With --resume the run goes on from its last checkpoint; a
changed field, or a changed RECIPE, is recorded in the run as a fork. Ctrl-C, or a scheduler's SIGTERM, ends it after
the step in progress and saves it (exit codes 130 and 143); a second one stops at once.

A recipe's function may have parameters: strop train translate target=de; they are set like fields, and --fields lists
them first.

A recipe may be a list of stages, which train one after the other in DIR/1-NAME, DIR/2-NAME and so on. Their fields
begin with their names, rl.steps=20, and --resume goes on with the first that is not finished.

Episodes are played in this process, or with --engine ray by replicas that Ray places on this machine or a cluster.
"""

from __future__ import annotations

import argparse

from strop.cli import engine_flags
from strop.cli.errors import DONE, exit_code

EXAMPLES = """\
examples:
  strop train two_words
  strop train story steps=20 sampling.temperature=0.7 --run runs/first
  strop train my.py data=tasks.jsonl --dry-run
  strop train two_words algorithm=sarsa --fields
  strop train story steps=10000 minutes=10
  strop train --resume --run runs/first steps=200
  strop train story --engine ray --rollout-replicas 4 --staleness 1
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("words", nargs="*", metavar="RECIPE | field=value", help="what to train, and what to change")
    parser.add_argument("--run", metavar="DIR", help="the run's folder (default: runs/RECIPE-DATE-TIME)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --run DIR")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan and two prompts; train and write nothing"
    )
    parser.add_argument("--verbose", action="store_true", help="every field in the plan, defaults too")
    parser.add_argument(
        "--keep-all", action="store_true", help="keep every checkpoint (RUN@STEP), also whenever the run goes on"
    )
    parser.add_argument(
        "--fields", action="store_true", help="list every field that can be set: its value, type, default and meaning"
    )
    parser.add_argument("--json", action="store_true", help="print the plan, the fields or the result as JSON")
    engine_flags.add(parser)


def run(args: argparse.Namespace) -> int:
    """Train, and say whether it got better."""
    from strop.cli import show_fields, show_plan, show_result, train_control, train_stages, training

    job = training.job(args.words, args.run, args.resume, engine_flags.overrides(args))
    from strop.control import ControlConfig

    if isinstance(job.config, list):
        return train_stages.train(job, job.config, args)
    if args.fields:
        show_fields.page(job.config, as_json=args.json, parameters=job.parameters)
        return DONE
    if isinstance(job.config, ControlConfig):
        return train_control.train(job, job.config, args.dry_run, args.json, args.verbose, args.keep_all)
    if args.dry_run:
        show_plan.dry_run(job.config, as_json=args.json, verbose=args.verbose)
        return DONE
    with training.claimed(job) as job, training.resumable(job):  # until the last line: a second Ctrl-C may come late
        done, seconds = training.train(job, args.verbose, args.keep_all)
        show_result.result(done, seconds, as_json=args.json)
        if done.interrupted:
            show_result.how_to_resume(job)
            return exit_code(done.stopped_by)
        show_result.what_next(done)
        return DONE
