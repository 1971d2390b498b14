"""judge a run or a model on held-out prompts, with 95 % intervals

A run's checkpoint (RUN, RUN@40, RUN@best) plays its held-out prompts again with the same dice and is compared, prompt
by prompt, with the judgement at its start. With --recipe a model, or a run, is judged on another recipe's prompts.

Intervals are made for few prompts: Blaker's exact one where scores are right or wrong (two of them joined by MOVER for
their paired difference), Student's t for any other scores. Where all scores are equal and could be anything, or there
is one alone, they tell no interval, and that is said.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, Problem, Usage
from strop.cli.output import print_json

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.reports.judgement import Judged
    from strop.serving.actor import Checkpoint, Model

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
    from strop.cli import show_verdicts
    from strop.cli.named import find
    from strop.serving.actor import Model

    who = find(args.who)
    judged = _model(who, args.recipe) if isinstance(who, Model) else _run(who, args.recipe)
    if args.json:
        print_json(judged.judgement)
    else:
        show_verdicts.judgement(judged)
    return DONE


def _run(who: Checkpoint, recipe: str | None) -> Judged:
    """A run, on its own held-out prompts or on a recipe's."""
    from strop.cli import recipes
    from strop.reports.judgement import judge, judge_again
    from strop.run import Run

    run = Run(who.directory, who.selector)
    run.directory.check()
    step = run.directory.checkpoint_step(run.selector)
    if recipe is not None:
        config = _with_held_out(recipes.trainable(recipe).resolve())
        return judge(str(run.path), step, config, run.parts)
    if not run.config.held_out:
        raise Problem(f"{run.path} has no held-out tasks to judge on.", hint=f"strop eval {run.path} --recipe RECIPE")
    return judge_again(run.directory, step, run.config, run.parts)


def _model(who: Model, recipe: str | None) -> Judged:
    """A model as it is, on a recipe's held-out prompts."""
    from strop.cli import recipes
    from strop.policies.transformer import Transformer
    from strop.reports.judgement import judge

    if recipe is None:
        raise Usage(f"{who.name} is a model: on which prompts?", hint=f"strop eval {who.name} --recipe RECIPE")
    policy = Transformer.Config(model=who.name, lora=None)
    config = _with_held_out(replace(recipes.trainable(recipe), policy=policy).resolve())
    config.set_up_torch()
    return judge(who.name, None, config, config.build())


def _with_held_out(config: TrainConfig) -> TrainConfig:
    """Refuse a recipe without prompts to judge on, before any model is loaded."""
    if not config.held_out:
        raise Problem("the recipe has no held-out prompts to judge on.", hint="held_out=[strop.Task(...), ...]")
    return config
