"""MaxRL by hand: its advantages, what it refuses, and what it is with two answers a prompt."""

from __future__ import annotations

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.coin import HALF, build, coin
from strop.algorithms.maxrl import MaxRL, over_the_mean
from strop.algorithms.rloo import RLOO
from strop.types import Batch, Part, Unscored
from strop.verify.maxrl import expansion, is_right, of_the_right
from strop.verify.tree import relative, table_tree


def answers(*rewards: float | Unscored) -> Batch:
    """One group of one-token answers, of which every second says 1."""
    return batch_of(*(episode(turn((9,), (i % 2,), (HALF,)), reward=r, id=str(i)) for i, r in enumerate(rewards)))


def test_advantages_are_the_return_over_the_share_of_right_ones_minus_one() -> None:
    # shares 1/4, 3/4, 0, 1 and 1/2: the last group's third member is Unscored
    return_E = torch.tensor([1, 0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, torch.nan], dtype=torch.float64)
    group_E = torch.tensor([0] * 4 + [1] * 4 + [2] * 2 + [3] * 2 + [4] * 3)
    expected = [3, -1, -1, -1, 1 / 3, 1 / 3, -1, 1 / 3, 0, 0, 0, 0, 1, -1, 0]
    assert over_the_mean(return_E, group_E).tolist() == pytest.approx(expected, abs=1e-15)


def test_groups_that_are_all_right_or_all_wrong_give_exactly_nothing() -> None:
    for reward in (0.0, 1.0):
        policy = coin()
        build(MaxRL, policy).update(answers(reward, reward, reward))
        assert float(policy.weight.detach().abs().max()) == 0.0


@pytest.mark.parametrize("reward", [0.5, -1.0, 2.0, 1.0000001])
def test_a_return_that_is_neither_right_nor_wrong_is_refused_in_words(reward: float) -> None:
    policy = coin()
    with pytest.raises(ValueError, match=rf"MaxRL got the return {reward}: .* 1 \(right\) or 0 .*GRPO or RLOO"):
        build(MaxRL, policy).update(answers(1.0, 0.0, reward))
    assert float(policy.weight.detach().abs().max()) == 0.0
    build(MaxRL, policy).update(answers(1.0, 0.0, Unscored("lost")))


def test_parts_that_add_up_to_right_or_wrong_are_taken() -> None:
    halves = [{"a": Part(0.5, a), "b": Part(0.5, b)} for a, b in ((1.0, 1.0), (1.0, -1.0))]
    many = [episode(turn((9,), (i,), (HALF,)), parts=parts, id=str(i)) for i, parts in enumerate(halves)]
    update = build(MaxRL, coin()).update(batch_of(*many))
    assert update.per_token["advantage"].sum(dim=1).tolist() == [1.0, -1.0]


def test_a_group_of_one_is_refused_before_a_run_starts() -> None:
    assert MaxRL.Config().extras.least == 2


def test_two_answers_a_prompt_are_those_of_rloo() -> None:
    moved = []
    for kind in (MaxRL, RLOO):
        policy = coin()
        build(kind, policy).update(answers(1.0, 0.0))
        moved.append(policy.weight.detach().clone())
    assert torch.equal(*moved)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_mean_score_of_the_right_answers_alone_is_the_expansion_to_its_own_order(size: int) -> None:
    # E[1/K sum of right scores] = (1 - (1 - p)^G) grad log p = grad of -sum_{k <= G} (1 - p)^k / k
    tree = table_tree(3, 2, seed=2)
    rewards = is_right(tree)
    assert relative(of_the_right(tree, rewards, size), expansion(tree, rewards, size)) < 1e-13
    assert relative(expansion(tree, rewards, size), expansion(tree, rewards, size + 1)) > 1e-2
