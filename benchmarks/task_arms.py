"""The arms of each task: parameters of its recipe. The first arm is the recipe as it is.

A task is called like its recipe. What the same recipe makes of other data is a task of its own: `style-haiku` is on the
page of `style`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GAMES = ("taxi", "guess_number", "blackjack", "tictactoe", "nim", "go")
MAPS = ("gridworld", "frozen_lake")
"""Games that take longer."""
APART = ("games", "games-maps", "allocate", "textarena")
"""Tasks whose arms are tasks of their own: nothing compares one with another."""
TASKS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "sentiment": {"rl": {}, "sft": {"method": "sft"}},
    "sentiment-zh": {"rl": {"data": "zh"}, "sft": {"data": "zh", "method": "sft"}},
    "sentiment-bbc": {"rl": {"data": "bbc"}, "sft": {"data": "bbc", "method": "sft"}},
    "style": {"rl": {}, "sft": {"method": "sft"}},
    "style-simple": {"rl": {"style": "simple"}, "sft": {"style": "simple", "method": "sft"}},
    "style-haiku": {"rl": {"style": "haiku"}, "sft": {"style": "haiku", "method": "sft"}},
    "summarise": {"rl": {}, "sft": {"method": "sft"}},
    "games": {game: {"game": game} for game in GAMES},
    "games-maps": {game: {"game": game} for game in MAPS},
    "allocate": {f"{number} machines": {"machines": number} for number in (2, 3, 4)},
    "textarena": {
        "wild": {},
        "wild, perfect opponent": {"opponent": "perfect"},
        "pig": {"game": "pig"},
        "secretary": {"game": "secretary"},
    },
    "control": {kind: {"policy": kind} for kind in ("scratch", "table", "vector")},
    "recommend": {"SFT": {}, "MaxRL": {"method": "rl"}},
    "drive": {
        "rule, then rewards": {},
        "rewards": {"teacher": "none"},
        "rule, then rewards, numbers": {"policy": "mlp"},
    },
    "advertise": {"4,000 lines": {}, "1,000 lines": {"lines": 1000}},
    "answer": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}},
    "support": {
        "log, then thumbs": {},
        "log": {"method": "sft"},
        "thumbs": {"method": "thumbs"},
        "log, then thumbs that never err": {"wrong": 0.0},
    },
    "tools": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}, "no tools": {"method": "none"}},
    "reason": {"curriculum": {}, "all levels at once": {"order": "mixed"}},
    "reading": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}},
}


def recipe_of(task: str) -> str:
    """The name of a task's recipe, and of its page."""
    return task.partition("-")[0]
