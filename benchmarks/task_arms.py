"""The arms of each task: parameters of its recipe. The first arm is the recipe as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GAMES = ("nim", "tictactoe", "go", "gridworld", "guess_number", "frozen_lake", "blackjack", "taxi")
APART = ("games",)
"""Tasks whose arms are tasks of their own: nothing compares one with another."""
TASKS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "sentiment": {"rl": {}, "sft": {"method": "sft"}},
    "style": {"rl": {}, "sft": {"method": "sft"}},
    "summarise": {"rl": {}, "sft": {"method": "sft"}},
    "games": {game: {"game": game} for game in GAMES},
    "answer": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}},
    "reason": {"curriculum": {}, "all levels at once": {"order": "mixed"}},
    "reading": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}},
}
