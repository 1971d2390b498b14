"""try a recipe's reward: on a text, or on what the start model writes

With TEXT: every named part of the reward for that text as the answer to one task. Without: samples a few groups from
the start model and shows how the rewards spread, and whether there is signal to learn from. A word of the form
field=value is an override.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE, Usage

EXAMPLES = """\
examples:
  strop score copy_word apple --task apple
  strop score story --groups 4
  strop score my.py "Thank you!" --gold
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("words", nargs="+", metavar="RECIPE [TEXT] [field=value]", help="the recipe, and what to score")
    parser.add_argument("--task", metavar="ID", help="the task that TEXT answers (default: the first)")
    parser.add_argument("--gold", action="store_true", help="the gold scores too")
    parser.add_argument("--groups", type=int, metavar="N", help="how many groups to sample (default: those of a step)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Score."""
    from strop.cli import recipes, scoring

    typed, overrides = recipes.split(args.words)
    if not 1 <= len(typed) <= 2:
        raise Usage("a recipe and at most one text are needed.", hint='strop score RECIPE "a text in quotes"')
    config = recipes.trainable(typed[0], overrides).resolve()
    if len(typed) == 2:
        scoring.show_text(scoring.of_text(config, typed[1], args.task, args.gold), args.json)
    else:
        scoring.show_start(scoring.of_start(config, args.groups, args.gold), args.json)
    return DONE
