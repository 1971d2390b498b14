"""Policies, one file each: a policy owns its parameters and implements `strop.types.Policy`.

`Perplexity` and `Sentence` are no policies: they are frozen models with which rewards score texts.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("policies", name)


def __dir__() -> list[str]:
    return sorted([*loader.configured("policies"), "LoRA", "Perplexity", "Scratch", "Sentence"])
