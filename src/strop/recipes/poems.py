"""Likelihood, then reward, in Chinese: a language model learns Tang poems, then to write five characters a line.

The same two stages as `tales`, character by character: a sentence of at most ten characters is a couplet of two lines
of five, and most couplets of the corpus have seven.
"""

from __future__ import annotations

from dataclasses import replace

import strop
from strop.recipes.tales import told_short


def recipe() -> list[strop.Stage]:
    """About six minutes on two cores."""
    pretrain, reward = told_short("tang", words=10)
    config = pretrain.config
    assert isinstance(config.data, strop.Corpus)
    characters = replace(config.data, tokenizer="character")
    return [strop.Stage("pretrain", replace(config, data=characters)), reward]
