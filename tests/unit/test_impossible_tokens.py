"""Tokens of probability 0 cost nothing and teach nothing: no 0 * inf reaches a number or a gradient."""

from __future__ import annotations

import math

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.functional.aggregation import sequence_sum
from strop.functional.distributions import entropy
from strop.functional.divergences import full_kl
from strop.functional.objectives import policy_gradient

LOGITS = [[0.0, 1.0, -math.inf]]


def leaf(numbers: list[list[float]]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


def test_the_entropy_of_a_distribution_with_an_impossible_token_has_a_gradient() -> None:
    masked, plain = leaf(LOGITS), leaf([[0.0, 1.0]])
    for logits in (masked, plain):
        entropy(logits.log_softmax(-1)).sum().backward()
    assert masked.grad is not None
    assert plain.grad is not None
    assert masked.grad.tolist() == [[*plain.grad[0].tolist(), 0.0]]
    p = math.e / (1 + math.e)  # H' = -p (1 - p) ln(p / (1 - p)) = -p (1 - p)
    assert masked.grad[0, 1].item() == pytest.approx(-p * (1 - p))


@pytest.mark.parametrize("reference", [[[1.0, 0.0, 2.0]], [[1.0, 0.0, -math.inf]]])
def test_the_kl_of_a_distribution_with_an_impossible_token_has_a_gradient(reference: list[list[float]]) -> None:
    logits, reference_distribution = leaf(LOGITS), torch.tensor(reference, dtype=torch.float64).log_softmax(-1)
    full_kl(logits.log_softmax(-1), reference_distribution).sum().backward()
    p = math.e / (1 + math.e)  # dKL/dlogit_1 = p (1 - p) [ln(p / (1 - p)) - ln(ref_1 / ref_0)], and the last is -1
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([-2 * p * (1 - p), 2 * p * (1 - p), 0.0])


def test_an_impossible_action_without_weight_leaves_the_policy_gradient_alone() -> None:
    batch = batch_of(episode(turn((1,), (2, 3)), reward=1.0))
    logprobs_BT = torch.full(batch.tokens_BT.shape, -1.0, dtype=torch.float64)
    logprobs_BT[:, -1] = -math.inf
    logprobs_BT.requires_grad_()
    advantage_BT = torch.ones_like(logprobs_BT)
    advantage_BT[:, -1] = 0.0
    loss, _ = policy_gradient(batch, logprobs_BT, logprobs_BT, advantage_BT, sequence_sum(batch))
    loss.backward()
    assert loss.item() == 1.0
    assert logprobs_BT.grad is not None
    assert logprobs_BT.grad[batch.action_BT].tolist() == [-1.0, 0.0]
