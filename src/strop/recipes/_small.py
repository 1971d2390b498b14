"""The small transformer from scratch that reads a state told in words and says one word."""

from __future__ import annotations

from collections.abc import Sequence

from strop.policies.scratch import Scratch


def small_transformer(words: Sequence[str], context: int) -> Scratch:
    """Two layers, 32 wide, with a value head; it reads at most `context` of these words, what it says among them."""
    return Scratch(
        words=words,
        shape="gpt2",
        has_end=False,
        num_layers=2,
        width=32,
        num_heads=4,
        context=context,
        value_head=True,
    )
