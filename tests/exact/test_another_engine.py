"""An engine that is off by a known amount, from its draws to the gradient: every number is derived by hand.

The policy draws one of four tokens with probabilities 1/8, 1/8, 1/4, 1/2; the engine's logits are tilted, so that it
draws them with 1/2, 1/4, 1/8, 1/8. Eight evenly spaced dice make each draw exactly as often as it is likely, so one
update is the expectation under the engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, turn
from exact.tree import PROMPT, relative
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Sampling
from tilted import Tilted

LOG2 = math.log(2.0)
PI = torch.tensor([1 / 8, 1 / 8, 1 / 4, 1 / 2], dtype=torch.float64)
MU = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 8], dtype=torch.float64)
RATIO = PI / MU  # 1/4, 1/2, 2, 4
REWARD = torch.tensor([1.0, 0.0, 3.0, -1.0], dtype=torch.float64)
FULL = Correction(cap=math.inf)
PLAIN: dict[str, Any] = {"optimizer": SGD(lr=1.0), "kl": KL()}
KINDS: dict[str, Any] = {
    "REINFORCE": REINFORCE.Config(**PLAIN, baseline_decay=None),
    "DrGRPO": DrGRPO.Config(**PLAIN),
    "RLOO": RLOO.Config(**PLAIN),
    "GRPO": GRPO.Config(**PLAIN),
}
MEAN, STD = 0.75, math.sqrt(9.5 / 7) + 1e-4  # GRPO adds the last
"""Of the eight rewards, 1 four times, 0 twice, 3 and -1."""
ADVANTAGE = {
    "REINFORCE": REWARD,
    "DrGRPO": REWARD - MEAN,
    "RLOO": (REWARD - MEAN) * 8 / 7,
    "GRPO": (REWARD - MEAN) / STD,
}


@dataclass(frozen=True)
class Dice:
    """Always the same number."""

    number: float

    def random(self) -> float:
        return self.number


def drawn() -> tuple[Table, list[Any]]:
    """The policy, and the engine's eight answers."""
    policy = Table(4, capacity=2)
    with torch.no_grad():
        policy.weight[policy.row(PROMPT)] = PI.log() + 1.0  # logits, not log-probs
    engine = Tilted(policy, frozenset(), (MU.log() - PI.log()).tolist())
    dice: list[Any] = [Dice((i + 0.5) / 8) for i in range(8)]
    return policy, engine.sample([PROMPT] * 8, Sampling(max_tokens=1), dice)


def moved(kind: str, correction: Correction | None) -> tuple[Tensor, dict[str, float]]:
    """The change of the four logits by one update, and its metrics."""
    policy, answers = drawn()
    before = policy.weight[0].detach().clone()
    episodes = [episode(turn(PROMPT, y.tokens, y.logprobs), reward=REWARD[y.tokens[0]].item()) for y in answers]
    algorithm = replace(KINDS[kind], correction=correction)
    update = algorithm.build(policy, Sampling(max_tokens=1), 4096).update(batch_of(*episodes, layout="per_turn"))
    return policy.weight[0].detach() - before, {name: metric.value for name, metric in update.metrics.items()}


def expected(kind: str, weight_V: Tensor) -> Tensor:
    """sum_y mu(y) w(y) A(y) grad log pi(y), where grad log pi(y) is 1 at y, less pi."""
    pushed_V = MU * weight_V * ADVANTAGE[kind]
    return pushed_V - PI * pushed_V.sum()


def test_the_engine_draws_from_the_tilted_distribution_and_says_so() -> None:
    _, answers = drawn()
    assert [y.tokens[0] for y in answers] == [0, 0, 0, 0, 1, 1, 2, 3]
    assert [y.logprobs[0] / LOG2 for y in answers] == pytest.approx([-1, -1, -1, -1, -2, -2, -3, -3])


def test_the_measured_gap_is_the_tilt() -> None:
    _, metrics = moved("REINFORCE", None)  # log pi / mu in units of log 2: -2 four times, -1 twice, 1 and 2
    assert metrics["policy/sampler_gap_mean"] == pytest.approx(13 / 8 * LOG2)
    assert metrics["policy/sampler_gap_bias"] == pytest.approx(-7 / 8 * LOG2)  # less the KL divergence of pi from mu
    assert metrics["policy/sampler_gap_max"] == pytest.approx(2 * LOG2)
    assert "correction/weight" not in metrics


@pytest.mark.parametrize(("correction", "weight"), [(Correction(), 6 / 8), (FULL, 1.0)])
def test_the_weights_are_the_ratios(correction: Correction, weight: float) -> None:
    _, metrics = moved("REINFORCE", correction)  # 1/4 four times, 1/2 twice, 2, and 4, which the default cuts to 2
    assert metrics["correction/weight"] == pytest.approx(weight)
    assert metrics["correction/ess"] == pytest.approx(8**2 / (8 * (4 / 16 + 2 / 4 + 4 + 16)))


@pytest.mark.parametrize("kind", KINDS)
def test_corrected_the_expected_gradient_is_the_policys_own(kind: str) -> None:
    true = PI * (REWARD - PI @ REWARD)  # of J = sum_y pi(y) r(y): a constant baseline does not change it
    scale = {"RLOO": 8 / 7, "GRPO": 1 / STD}.get(kind, 1.0)
    assert relative(moved(kind, FULL)[0], scale * true) < 1e-12
    assert relative(expected(kind, RATIO), scale * true) < 1e-12
    assert relative(moved(kind, None)[0], scale * true) > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_uncorrected_and_truncated_it_is_the_biased_one_by_hand(kind: str) -> None:
    assert relative(moved(kind, None)[0], expected(kind, torch.ones_like(PI))) < 1e-12
    assert relative(moved(kind, Correction())[0], expected(kind, RATIO.clamp(max=2.0))) < 1e-12
