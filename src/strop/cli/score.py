"""try a recipe's reward: on a text, or on what the start model writes

With TEXT: every part of the reward for that text, as the answer to one task. Without: samples a few groups from the
start model and shows how the rewards spread, and whether there is a signal to learn from. field=value changes a field.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from strop.cli.errors import DONE, Usage
from strop.types import Task

EXAMPLES = """\
examples:
  strop score copy_word apple --task apple
  strop score story --groups 4
  strop score my.py "Thank you!" --gold
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("words", nargs="+", metavar="RECIPE [TEXT] [field=value]", help="the recipe, and what to score")
    parser.add_argument("--task", metavar="ID", help="the task that TEXT answers (default: the first)")
    parser.add_argument("--gold", action="store_true", help="the gold scores too")
    parser.add_argument("--groups", type=int, metavar="N", help="how many groups to sample (default: those of a step)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Score the text, or answers of the start model."""
    from strop.cli import recipes, show_reward
    from strop.reports import signal
    from strop.runs.trained import FromStage

    typed, overrides = recipes.split(args.words)
    if not 1 <= len(typed) <= 2:
        raise Usage("a recipe and at most one text are needed.", hint='strop score RECIPE "a text in quotes"')
    config = recipes.trainable(typed[0], overrides).resolve()
    if len(typed) == 1 and isinstance(config.policy, FromStage):
        raise Usage(
            f"the last stage of {typed[0]} starts from stage {config.policy.stage}, which is not trained yet.",
            hint=f'its reward can be tried on a text: strop score {typed[0]} "a text in quotes"',
        )
    if len(typed) == 2:
        task = _task((*config.tasks, *config.held_out), args.task)
        show_reward.text(signal.reward_of_text(config, task, typed[1], args.gold), args.json)
    else:
        num_groups = config.prompts_per_step if args.groups is None else args.groups
        if num_groups < 1:
            raise Usage(f"--groups {num_groups}: at least 1 is needed.", hint="leave it out for as many as a step has")
        show_reward.signal(signal.signal_of_start(config, num_groups, args.gold), args.json)
    return DONE


def _task(tasks: Sequence[Task], id: str | None) -> Task:
    """The task of this id; without an id the first."""
    known = {task.id: task for task in tasks}
    if id is None:
        return tasks[0]
    if id not in known:
        near = difflib.get_close_matches(id, known, n=1)
        raise Usage(f"there is no task {id!r}" + (f"; did you mean {near[0]}?" if near else "."))
    return known[id]
