"""Models that act and learn, one file a policy: each owns its parameters and obeys `strop.types.Policy`.

`Perplexity` and `Sentence` stand here for rewards: frozen models that score texts, and never act.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("policies", name)


def __dir__() -> list[str]:
    return sorted([*loader.configured("policies"), "LoRA", "Perplexity", "Scratch", "Sentence"])
