"""The metrics of sacrebleu (Post 2018, 1804.08771), loaded at their first use."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any


def check_installed(reward: str) -> None:
    """Raise ModuleNotFoundError if the package is not there."""
    if find_spec("sacrebleu") is None:
        raise ModuleNotFoundError(f'{reward} needs the package sacrebleu: pip install "strop[translate]"')


@cache
def chrf(order: int, words: int, beta: int) -> Any:
    """The metric chrF with these settings."""
    from sacrebleu.metrics import CHRF

    return CHRF(char_order=order, word_order=words, beta=beta)


@cache
def bleu(tokenize: str) -> Any:
    """The metric BLEU for single texts, with the tokenisation of that name."""
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=tokenize, smooth_method="exp", effective_order=True)
