"""KTO's baseline reads answers behind other prompts: never behind their own, whatever group they stand in."""

from __future__ import annotations

import pytest

from exact.build import batch_of, episode, turn
from strop.functional.preferences import mismatched


def prompts_given(prompts: list[int]) -> list[int] | None:
    """The prompt that each answer gets, where each stands in a group of its own."""
    batch = batch_of(*(episode(turn((p,), (9, 9)), group=i, id=f"{i}") for i, p in enumerate(prompts)))
    other = mismatched(batch)
    if other is None:
        return None
    assert other.action_BT.sum(dim=1).tolist() == [2] * len(prompts)
    assert other.logprobs_BT.shape == other.rewards_BT.shape == other.tokens_BT.shape
    assert bool(other.logprobs_BT.isnan().all())
    return other.tokens_BT[:, 0].tolist()


@pytest.mark.parametrize(("prompts", "expected"), [
    ([1, 2, 3], [2, 3, 1]),
    ([1, 1, 4, 4], [4, 4, 1, 1]),  # pairs that were written as single answers
    ([1, 4, 1, 1], [4, 1, 4, 4]),
    ([4, 1, 1, 4], [1, 4, 4, 1]),
    ([1, 1, 1], None),
    ([1], None),
])  # fmt: skip
def test_every_answer_follows_the_next_different_prompt(prompts: list[int], expected: list[int] | None) -> None:
    assert prompts_given(prompts) == expected
