"""judge a run or a model on held-out prompts, with 95 % intervals

A run's checkpoint (RUN, RUN@40, RUN@best) answers its held-out prompts again with the same random seeds and is
compared, prompt by prompt, with the judgement at its start. With --recipe a model, or a run, is judged on another
recipe's prompts. With a URL the model behind an OpenAI-compatible API is judged, in chats (docs/scale.md).

The intervals hold for few prompts too: Blaker's exact interval for scores of right or wrong (two of them joined by
MOVER for the paired difference), Student's t for all other scores. A single score, or equal scores that are not right
or wrong, have no interval; the output says so.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, Problem, Usage
from strop.cli.output import print_json, say
from strop.words import plural

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.reports.judgement import Judged
    from strop.serving.actor import Checkpoint, Model

EXAMPLES = """\
examples:
  strop eval runs/first
  strop eval runs/first@best --json
  strop eval smollm2 --recipe story
  strop eval http://127.0.0.1:8000/v1 --model smollm2 --recipe story
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "name", metavar="RUN|MODEL|URL", help="a run, a model folder, a model's name, a Hub id, or an API"
    )
    parser.add_argument("--recipe", metavar="RECIPE", help="whose held-out prompts and rewards; needed for a model")
    parser.add_argument("--model", metavar="NAME", help="of a URL: what the API calls the model")
    parser.add_argument("--key-env", metavar="VARIABLE", help="of a URL: the environment variable that holds its key")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Judge, and print the scores."""
    from strop.cli.named import find
    from strop.serving.actor import Model

    if args.name.startswith(("http://", "https://")):
        judged = _endpoint(args.name, args.model, args.key_env or "", args.recipe)
        return _print(judged, args.json)
    if args.model is not None or args.key_env is not None:
        raise Usage("--model and --key-env are for a URL.", hint="strop eval URL --model NAME --recipe RECIPE")
    found = find(args.name)
    judged = _model(found, args.recipe) if isinstance(found, Model) else _run(found, args.recipe)
    return _print(judged, args.json)


def _print(judged: Judged, as_json: bool) -> int:
    from strop.cli import show_verdicts

    if as_json:
        print_json(judged.judgement)
    else:
        show_verdicts.judgement(judged)
    return DONE


def _endpoint(url: str, model: str | None, key_env: str, recipe: str | None) -> Judged:
    """Judge a model behind an API on a recipe's held-out prompts, with the recipe's sampling."""
    from strop.cli import recipes
    from strop.endpoint.endpoint import Endpoint
    from strop.reports.judgement import judge_endpoint
    from strop.runs.guards import first_reason, lost

    if model is None or recipe is None:
        raise Usage(
            f"{url} is an API: which model, on which prompts?",
            hint=f"strop eval {url} --model NAME --recipe RECIPE; GET {url}/models lists the names",
        )
    endpoint = Endpoint(url=url, model=model, key_env=key_env, settings={}, request_seconds=120, total_seconds=300)
    judged = judge_endpoint(_with_held_out(recipes.trainable(recipe).resolve()), endpoint)
    if reason := first_reason(judged.after):
        raise Problem(f"none of {plural(len(judged.after), 'held-out prompt')} could be scored. The first: {reason}")
    if told := lost(judged.after):
        say(f"warning: {told} They are not in the mean.")
    return judged


def _run(checkpoint: Checkpoint, recipe: str | None) -> Judged:
    """Judge a checkpoint of a run, on its own held-out prompts or on a recipe's."""
    from strop.cli import recipes
    from strop.reports.judgement import judge, judge_again
    from strop.run import Run

    run = Run(checkpoint.directory, checkpoint.selector)
    run.directory.check()
    step = run.directory.checkpoint_step(run.selector)
    if recipe is not None:
        config = _with_held_out(recipes.trainable(recipe).resolve())
        return judge(str(run.path), step, config, run.parts)
    if not run.config.held_out:
        raise Problem(f"{run.path} has no held-out tasks to judge on.", hint=f"strop eval {run.path} --recipe RECIPE")
    return judge_again(run.directory, step, run.config, run.parts)


def _model(model: Model, recipe: str | None) -> Judged:
    """Judge an untrained model on a recipe's held-out prompts."""
    from strop.cli import recipes
    from strop.reports.judgement import judge
    from strop.serving.actor import config_of

    if recipe is None:
        raise Usage(f"{model.name} is a model: on which prompts?", hint=f"strop eval {model.name} --recipe RECIPE")
    config = _with_held_out(replace(recipes.trainable(recipe), policy=config_of(model)).resolve())
    config.set_up_torch()
    return judge(model.name, None, config, config.build())


def _with_held_out(config: TrainConfig) -> TrainConfig:
    """The config; refused without held-out prompts, before any model is loaded."""
    if not config.held_out:
        raise Problem("the recipe has no held-out prompts to judge on.", hint="held_out=[strop.Task(...), ...]")
    return config
