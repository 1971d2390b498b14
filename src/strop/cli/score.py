"""try a recipe's reward: on a text, or on what the start model writes

With TEXT: every part of the reward for that text, as the answer to one task. Without: samples a few groups from the
start model and shows how the rewards spread, and whether there is a signal to learn from. field=value changes a field.

--attack tries to cheat the reward before a model does: by an empty text, the prompt, the answer's words in another
order, one word over and over, another task's answer and more. It shows what scores above an honest answer, the worst
first, and what scores as high. Honest is each task's own answer, or TEXT for one task; where the reward compares with
the answer, let TEXT be an honest one in other words. Exit code 1 if something scores above, or nothing could be
compared; else 0.

--agreement FILE scores pairs of answers of which one is known to be better ("prompt", "chosen", "rejected"), and shows
how often the reward agrees, with its interval; of a judge that compares, also whether it likes a place more than an
answer. Exit code 1 if the agreement is not shown to be better than a coin's.

--speed measures how many answers each reward judges in a second. None of the three loads the policy.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, FAILED, Usage
from strop.types import Task

if TYPE_CHECKING:
    from strop.config import TrainConfig

EXAMPLES = """\
examples:
  strop score copy_word apple --task apple
  strop score story --groups 4
  strop score my.py "Thank you!" --gold
  strop score translate --attack
  strop score my.py "an honest answer" --task tea --attack
  strop score story --speed --gold
  strop score my.py --agreement pairs.jsonl
"""
NUM_ATTACKED = 8
"""Prompts, unless --groups says otherwise."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("words", nargs="+", metavar="RECIPE [TEXT] [field=value]", help="the recipe, and what to score")
    parser.add_argument("--task", metavar="ID", help="the task that TEXT answers (default: the first)")
    parser.add_argument("--gold", action="store_true", help="the gold scores too")
    groups = f"how many prompts to sample (default: those of a step), or to attack ({NUM_ATTACKED})"
    parser.add_argument("--groups", type=int, metavar="N", help=groups)
    parser.add_argument("--attack", action="store_true", help="try to cheat the reward")
    parser.add_argument("--agreement", metavar="FILE", help="compare the reward with pairs that are ranked")
    parser.add_argument("--speed", action="store_true", help="answers that each reward judges in a second")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Score the text, or answers of the start model."""
    from strop.cli import recipes, show_reward
    from strop.reports import signal
    from strop.runs.trained import FromStage

    typed, overrides = recipes.split(args.words)
    if not 1 <= len(typed) <= 2:
        raise Usage("a recipe and at most one text are needed.", hint='strop score RECIPE "a text in quotes"')
    if args.attack and (args.speed or args.gold):
        raise Usage("--attack stands without --speed and --gold: it attacks what is trained on.")
    if args.agreement and (args.attack or args.speed or args.gold or args.task or args.groups or len(typed) == 2):
        raise Usage("--agreement stands alone: its file holds the prompts and the texts.")
    config = recipes.trainable(typed[0], overrides).resolve()
    if args.agreement:
        return _agreement(config, args.agreement, args.json)
    usual = NUM_ATTACKED if args.attack or args.speed else config.prompts_per_step
    num_groups = usual if args.groups is None else args.groups
    if num_groups < 1:
        raise Usage(f"--groups {num_groups}: at least 1 is needed.", hint="leave it out for as many as a step has")
    if args.attack or args.speed:
        tasks = [_task_of(config, args.task)] if len(typed) == 2 else _tasks(config, num_groups, args.task)
        return _attack(config, tasks, typed, args.json) if args.attack else _speed(config, tasks, typed, args)
    if len(typed) == 1 and isinstance(config.policy, FromStage):
        raise Usage(
            f"the last stage of {typed[0]} starts from stage {config.policy.stage}, which is not trained yet.",
            hint=f'its reward can be tried on a text: strop score {typed[0]} "a text in quotes"',
        )
    if len(typed) == 2:
        show_reward.text(signal.reward_of_text(config, _task_of(config, args.task), typed[1], args.gold), args.json)
    else:
        show_reward.signal(signal.signal_of_start(config, num_groups, args.gold), args.json)
    return DONE


def _agreement(config: TrainConfig, file: str, as_json: bool) -> int:
    from strop.cli import show_agreement
    from strop.data.preferences import check_pair
    from strop.data.tasks import from_file
    from strop.reports.agreement import agreement

    found = agreement(config, from_file(file, check=check_pair))
    show_agreement.agreements(found, as_json)
    return DONE if found.is_shown else FAILED


def _attack(config: TrainConfig, tasks: Sequence[Task], typed: Sequence[str], as_json: bool) -> int:
    from strop.cli import show_attack
    from strop.reports.attack import attack

    found = attack(config, tasks, {tasks[0].id: typed[1]} if len(typed) == 2 else {})
    show_attack.attacked(found, typed[0], as_json)
    return FAILED if found.of("above") or not found.honest else DONE


def _speed(config: TrainConfig, tasks: Sequence[Task], typed: Sequence[str], args: argparse.Namespace) -> int:
    from strop.cli import show_attack
    from strop.reports.speed import speeds

    show_attack.speeds(speeds(config, tasks, typed[1] if len(typed) == 2 else "", args.gold), args.json)
    return DONE


def _tasks(config: TrainConfig, number: int, id: str | None) -> list[Task]:
    """So many different tasks, drawn by the run's seed; or the one of this id."""
    from strop.data.source import Shuffled

    if id is not None:
        return [_task_of(config, id)]
    tasks = list(config.tasks)
    drawn = Shuffled(tasks, config.seed).next(min(number, len(tasks)))
    return list({task.id: task for task in drawn}.values())


def _task_of(config: TrainConfig, id: str | None) -> Task:
    return _task((*config.tasks, *config.held_out), id)


def _task(tasks: Sequence[Task], id: str | None) -> Task:
    """The task of this id; without an id the first."""
    known = {task.id: task for task in tasks}
    if id is None:
        return tasks[0]
    if id not in known:
        near = difflib.get_close_matches(id, known, n=1)
        raise Usage(f"there is no task {id!r}" + (f"; did you mean {near[0]}?" if near else "."))
    return known[id]
