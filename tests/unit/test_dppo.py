"""DPPO by hand: how far a probability has moved, and which tokens that leaves out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.coin import HALF, build, coin
from strop.algorithms.cispo import CISPO
from strop.algorithms.dppo import DPPO, binary_divergence, dppo_loss
from strop.optimizer import SGD
from strop.types import Unscored


def far(pi: float, mu: float, divergence: Any) -> float:
    logs = (torch.tensor([p], dtype=torch.float64).log() for p in (pi, mu))
    return binary_divergence(*logs, divergence).item()


def test_divergences_of_this_token_or_another_by_hand() -> None:
    assert far(0.75, 0.5, "tv") == pytest.approx(0.25, abs=1e-15)
    assert far(0.5, 0.75, "tv") == pytest.approx(0.25, abs=1e-15)
    assert far(0.75, 0.5, "kl") == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25), abs=1e-15)
    assert far(0.5, 0.75, "kl") == pytest.approx(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5), abs=1e-15)
    assert far(0.3, 0.3, "kl") == 0.0


def test_certain_tokens_have_a_divergence_and_no_nan() -> None:
    assert far(1.0, 1.0, "kl") == 0.0
    assert far(0.75, 1.0, "kl") == pytest.approx(math.log(4 / 3))
    assert far(1.0, 0.75, "kl") == math.inf  # other tokens were drawn, and cannot be any more
    assert far(0.0, 0.75, "kl") == math.inf
    assert far(1 - 2e-12, 1 - 1e-12, "kl") == pytest.approx(1e-12 * (1 - math.log(2)), rel=1e-3)


@pytest.mark.parametrize(("advantage", "mu", "pi", "is_out"), [
    (1.0, 0.5, 0.75, True), (1.0, 0.5, 0.25, False), (-1.0, 0.5, 0.25, True), (-1.0, 0.5, 0.75, False),
    (1.0, 0.01, 0.2, False),  # twenty times as likely, and yet a small part of the distribution
    (0.0, 0.5, 0.75, False),
])  # fmt: skip
def test_a_token_is_left_out_where_it_is_far_and_would_go_further(
    advantage: float, mu: float, pi: float, is_out: bool
) -> None:
    batch = batch_of(episode(turn((1,), (2,), (math.log(mu),))))
    logprobs_BT = torch.tensor([[0.0, math.log(pi)]], dtype=torch.float64, requires_grad=True)
    ones_BT = batch.action_BT.double()
    loss, metrics = dppo_loss(batch, logprobs_BT, ones_BT, advantage * ones_BT, ones_BT, "tv", 0.2)
    loss.backward()
    assert logprobs_BT.grad[0].tolist() == pytest.approx([0.0, 0.0 if is_out else -advantage * pi / mu])
    assert metrics["policy/masked"].value == is_out
    assert metrics["policy/ratio"].value == pytest.approx(pi / mu)


def test_a_divergence_of_exactly_delta_stays() -> None:
    batch = batch_of(episode(turn((1,), (2,), (HALF,))))
    ones_BT = batch.action_BT.double()
    logprobs_BT = torch.full((1, 2), math.log(0.75), dtype=torch.float64)
    moved = far(0.75, 0.5, "tv")
    for delta, share in ((moved, 0.0), (math.nextafter(moved, 0.0), 1.0)):
        _, metrics = dppo_loss(batch, logprobs_BT, ones_BT, ones_BT, ones_BT, "tv", delta)
        assert metrics["policy/masked"].value == share


def test_the_second_epoch_stops_at_the_delta_that_was_set() -> None:
    # one-token answers of a fair coin; the first step leads to pi(0) = .65, .15 away from the sampler's half
    def after(delta: float, rate: float, epochs: int) -> tuple[float, float]:
        policy = coin()
        batch = batch_of(episode(turn((9,), (0,), (HALF,)), reward=1.0), episode(turn((9,), (1,), (HALF,)), reward=0.0))
        update = build(DPPO, policy, optimizer=SGD(lr=rate), delta=delta, epochs=epochs).update(batch)
        return policy.weight[0, 0].item(), update.metrics["policy/masked"].value

    wanted = math.log(0.65 / 0.35) / 2
    rate = wanted / after(0.5, 1.0, 1)[0]
    assert after(0.14, rate, 2) == (pytest.approx(wanted), 0.5)  # none of two in the first, both in the second
    further, masked = after(0.16, rate, 2)
    assert further > wanted + 0.05
    assert masked == 0.0


def test_the_ratio_is_to_the_policy_that_sampled() -> None:
    # a fair coin learns from tokens that were drawn with probability .8 and .25: ratios .625 and 2
    batch = batch_of(
        episode(turn((9,), (0,), (math.log(0.8),)), reward=1.0), episode(turn((9,), (1,), (math.log(0.25),)))
    )
    update = build(DPPO, coin(), delta=1.0).update(batch)
    assert update.metrics["policy/ratio"].value == pytest.approx((0.625 + 2) / 2)
    assert update.metrics["policy/masked"].value == 0.0
    tight = build(DPPO, coin(), delta=0.2).update(batch)  # the good one fell, and may rise; the bad one rose
    assert tight.metrics["policy/masked"].value == 0.0


def test_an_unscored_answer_without_logprobs_is_left_alone() -> None:
    scored = [episode(turn((9,), (i,), (HALF,)), reward=1.0 - i, id=str(i)) for i in range(2)]
    lost = episode(turn((9,), (0, 1), None), reward=Unscored("judge"))
    moved = []
    for some in (scored, [*scored, lost]):
        policy = coin()
        build(DPPO, policy, epochs=2).update(batch_of(*some))
        moved.append(policy.weight.detach().clone())
    assert torch.equal(*moved)
    assert not bool(moved[0].isnan().any())


def test_another_engine_needs_no_correction_beside_the_ratio() -> None:
    config = DPPO.Config(epochs=3)
    assert config.corrected() is config


def test_a_delta_of_one_learns_as_cispo_without_bounds() -> None:
    # sum sg(rho) A log pi and sum rho A have one gradient; the samples are the learner's own, so rho is pi / pi_old
    moved = []
    for kind, more in ((DPPO, {"delta": 1.0}), (CISPO, {"cap": math.inf})):
        policy = coin()
        batch = batch_of(
            episode(turn((9,), (0, 1), (HALF, HALF)), reward=3.0), episode(turn((9,), (1,), (HALF,)), reward=1.0)
        )
        build(kind, policy, optimizer=SGD(lr=3.0), epochs=3, **more).update(batch)
        moved.append(policy.weight.detach().clone())
    assert torch.allclose(*moved, rtol=0, atol=1e-14)
