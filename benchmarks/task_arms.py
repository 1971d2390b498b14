"""The arms of each task: parameters of its recipe. The first arm is the recipe as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TASKS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "sentiment": {"rl": {}, "sft": {"method": "sft"}},
    "style": {"rl": {}, "sft": {"method": "sft"}},
    "summarise": {"rl": {}, "sft": {"method": "sft"}},
    "answer": {"SFT, then RLOO": {}, "SFT": {"method": "sft"}},
    "reading": {"RLOO": {}, "SFT": {"method": "sft"}},
}
