"""The arms of each task: parameters of its recipe. The first arm is the recipe as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GAMES = ("nim", "tictactoe", "go", "gridworld", "guess_number", "frozen_lake", "blackjack", "taxi")
APART = ("games", "allocate")
"""Tasks whose arms are tasks of their own: nothing compares one with another."""
TASKS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "sentiment": {"rl": {}, "sft": {"method": "sft"}},
    "style": {"rl": {}, "sft": {"method": "sft"}},
    "summarise": {"rl": {}, "sft": {"method": "sft"}},
    "games": {game: {"game": game} for game in GAMES},
    "allocate": {f"{number} machines": {"machines": number} for number in (2, 3, 4)},
    "control": {kind: {"policy": kind} for kind in ("scratch", "table", "vector")},
    "recommend": {"RLOO": {}, "SFT": {"method": "sft"}, "RLOO, letters": {"say": "letter"}},
    "advertise": {"4,000 lines": {}, "1,000 lines": {"lines": 1000}},
    "answer": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}},
    "reading": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}},
}
