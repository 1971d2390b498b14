"""A user's own policy gradient that breaks its promise is told so in words, and nothing moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.functional.aggregation import sequence_mean
from strop.functional.objectives import policy_gradient
from strop.learners.policy_gradient import PolicyGradient, PolicyGradientConfig
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Sampling


def batch() -> Batch:
    return batch_of(*(episode(turn((1,), (i,)), reward=float(i), id=str(i)) for i in range(3)))


def ones(batch: Batch, penalty_BT: Any = None) -> torch.Tensor:
    return batch.action_BT.double()


def built(**changed: Any) -> PolicyGradient:
    given: dict[str, Any] = {"advantage": ones, "weight": sequence_mean, "loss": policy_gradient} | changed
    return PolicyGradient("Mine", PolicyGradientConfig(optimizer=SGD(lr=1.0)), Table(4), Sampling(), 4096, **given)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"advantage": lambda batch, penalty_BT: batch.return_E}, r"advantage gave shape \[3\].* here \[3, 2\]"),
        ({"weight": lambda batch: 1.0}, "weight gave a float"),
        ({"loss": lambda *given: 0.0}, "the loss gives"),
        ({"loss": lambda *given: policy_gradient(*given)[0]}, "the loss gives"),
        ({"loss": lambda *given: (given[1], {})}, "the loss gives"),
        ({"loss": lambda *given: (policy_gradient(*given)[0].detach(), {})}, "no gradient"),
        (
            {"loss": lambda *given: (policy_gradient(*given)[0], {"a/b": 1.0})},
            "'a/b' is a float; it is a strop.types.Mean",
        ),
    ],
)
def test_what_is_handed_over_is_checked_before_anything_moves(changed: Any, words: str) -> None:
    learner = built(**changed)
    with pytest.raises(ValueError, match=f"Mine: .*{words}"):
        learner.update(batch())
    assert float(learner.policy.parameters()[0].detach().abs().sum()) == 0.0


def test_a_word_that_keep_does_not_know_and_a_state_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(ValueError, match="Mine: keep='rows'; allowed are row, episode, group"):
        built(keep="rows")
    with pytest.raises(ValueError, match="needs the methods advance, state_dict and load_state_dict"):
        built(state=object())


def test_a_config_without_build_says_so() -> None:
    with pytest.raises(NotImplementedError, match="PolicyGradientConfig has no build"):
        PolicyGradientConfig().build(Table(4), Sampling(), 4096)


def test_an_answer_whose_advantages_cancel_is_learned_from() -> None:
    """A signal is any advantage that is not 0, and not their sum."""
    both = batch_of(
        episode(turn((1,), (2, 3)), reward=1.0, id="a"), episode(turn((0,), (1,)), reward=1.0, group=1, id="b")
    )

    def up_and_down(batch: Batch, penalty_BT: Any) -> torch.Tensor:
        advantage_BT = torch.zeros_like(batch.rewards_BT)
        advantage_BT[batch.action_BT] = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
        return advantage_BT

    learner = built(advantage=up_and_down)
    for prefix in ((1,), (1, 2), (0,)):
        learner.policy.row(prefix)
    learner.update(both)
    weight = learner.policy.parameters()[0].detach()
    assert float(weight[learner.policy.row((1,))][2]) > 0.0 > float(weight[learner.policy.row((1, 2))][3])
