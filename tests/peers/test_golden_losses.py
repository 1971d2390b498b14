"""The losses and their gradients on one fixed batch, against the numbers that TRL 1.16 gives for it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, turn
from strop.algorithms.cispo import cispo_loss
from strop.algorithms.gspo import gspo_loss
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.sapo import sapo_loss
from strop.functional.aggregation import constant, sequence_mean, sequence_sum, token_mean
from strop.functional.divergences import KL
from strop.functional.objectives import sequence_objective, token_objective
from strop.learners.reference import Reference
from strop.policies.table import Table
from strop.types import Batch, Sampling

LENGTHS = (5, 3, 4, 2)
NEW = [[-1, -0.5, -2, -0.1, -0.7], [-0.3, -1.2, -0.9], [-2, -0.4, -0.6, -1.5], [-0.8, -0.8]]
OLD_MINUS_NEW = [[0.3, -0.1, 0.05, -0.4, 0], [-0.25, 0.3, 0.1], [0.1, -0.05, 0.35, -0.2], [-0.3, 0.2]]
REF_MINUS_NEW = [[0.2, -0.3, 0.1, 0, 0.4], [0.5, -0.2, 0.1], [-0.1, 0.3, 0.2, -0.4], [0, 0.6]]
ADVANTAGE = (1.0, -0.5, -1.5, 1.0)


def fixture() -> Batch:
    return batch_of(*(episode(turn((0,), range(1, n + 1), None)) for n in LENGTHS))


def slots(batch: Batch, ragged: list[list[float]]) -> Tensor:
    """A ragged list on the actions, NaN elsewhere: nothing may read it there."""
    out = torch.full(batch.tokens_BT.shape, torch.nan, dtype=torch.float64)
    out[batch.action_BT] = torch.tensor([x for row in ragged for x in row], dtype=torch.float64)
    return out


def plus(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[x + y for x, y in zip(row, delta, strict=True)] for row, delta in zip(a, b, strict=True)]


def loss_and_gradient(mean: Any, objective: Any, *bounds: float, kl: KL | None = None) -> tuple[float, float, int]:
    """(loss, |d loss / d logprobs|, its nonzero entries)."""
    batch = fixture()
    new_BT = slots(batch, NEW).requires_grad_(True)
    old_BT, ref_BT = slots(batch, plus(NEW, OLD_MINUS_NEW)), slots(batch, plus(NEW, REF_MINUS_NEW))
    advantage_BT = torch.tensor(ADVANTAGE, dtype=torch.float64).unsqueeze(1).expand_as(new_BT)
    weight_BT = mean(batch)
    loss, _ = objective(batch, new_BT, old_BT, advantage_BT, weight_BT, *bounds)
    if kl is not None:
        reference = Reference(kl, Table(8), Sampling(), 4096)
        loss = loss + (weight_BT * reference.loss(batch, {"logprobs": new_BT}, old_BT, ref_BT)).sum()
    loss.backward()
    gradient = new_BT.grad
    assert gradient is not None
    assert float(gradient.nan_to_num(nan=1e9)[~batch.action_BT].abs().max()) == 0.0  # masked slots get exactly 0
    gradient = gradient[batch.action_BT]
    return loss.item(), float(gradient.norm()), int((gradient != 0).sum())


GOLDEN = {
    "grpo": (sequence_mean, 0.2, 0.2, None, -0.0047746390, 0.2323062282),
    "token mean (bnpo, dapo in one micro-batch)": (token_mean, 0.2, 0.2, None, 0.0317677864, 0.2540249385),
    "dr_grpo": (partial(constant, max_tokens=8), 0.2, 0.2, None, 0.0138984066, 0.1111359106),
    "dapo clips .2 / .28": (token_mean, 0.2, 0.28, None, 0.0203392150, 0.2540249385),
    "grpo + .1 ratio * k3": (
        sequence_mean, 0.2, 0.2, KL(weight=0.1, placement="loss", estimator="k3_ratio"), 0.0010191008, 0.2349629097,
    ),
    "grpo + .1 k3": (
        sequence_mean, 0.2, 0.2, KL(weight=0.1, placement="loss", estimator="k3"), 0.0011515724, 0.2365585900,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_token_losses_equal_trl(name: str) -> None:
    mean, low, high, kl, loss, norm = GOLDEN[name]
    got_loss, got_norm, nonzero = loss_and_gradient(mean, token_objective, low, high, kl=kl)
    assert abs(got_loss - loss) < 1e-9
    assert abs(got_norm - norm) < 1e-9
    assert kl is not None or nonzero == 10


def test_sequence_sum_equals_verl() -> None:
    # seq-mean-token-sum of the same batch; constant with L_max = 8 is an eighth of it
    got, _, _ = loss_and_gradient(sequence_sum, token_objective, 0.2, 0.2)
    assert abs(got - 0.1111872525) < 1e-9


def test_sequence_objective_by_hand() -> None:
    # log w = -sum(old - new) = .15, -.15, -.2, .1: w = 1.161834, .860708, .818731, 1.105171, all inside 1 +- .2.
    # loss = -(1/4) (1 * 1.161834 - .5 * .860708 - 1.5 * .818731 + 1 * 1.105171) = -.152138
    got, norm, nonzero = loss_and_gradient(sequence_sum, sequence_objective, 0.2, 0.2)
    assert abs(got + 0.1521385) < 1e-6
    assert nonzero == 14
    # d / d logp_it = -w_i A_i / 4 on each of L_i tokens
    squares = sum(
        n * (w * a / 4) ** 2
        for n, w, a in zip(LENGTHS, (1.161834, 0.860708, 0.818731, 1.105171), ADVANTAGE, strict=True)
    )
    assert abs(norm - squares**0.5) < 1e-6
    # a band of .1 clips all: w > 1.1 where A > 0 (first and last), w < .9 where A < 0 (second and third)
    assert loss_and_gradient(sequence_sum, sequence_objective, 0.1, 0.1)[2] == 0


FAMILY = {
    "dapo, delta 1.25": (token_mean, token_objective, (0.2, 0.2, 1.25), 0.0305525930, 0.2498513729, 9),
    "dual clip 3 does not act here": (token_mean, token_objective, (0.2, 0.2, 3.0), 0.0317677864, 0.2540249385, 10),
    "gspo .2": (sequence_mean, gspo_loss, (0.2, 0.2), -0.0448166953, 0.2904013316, 14),
    "gspo 3e-4 / 4e-4: everything is clipped": (sequence_mean, gspo_loss, (3e-4, 4e-4), -0.0003500000, 0.0, 0),
    "cispo cap 5": (token_mean, cispo_loss, (0.0, 5.0), -0.1422860953, 0.3026228774, 14),
    "cispo cap .2, a cap in the wrong units": (token_mean, cispo_loss, (0.0, 0.2), -0.0292857143, 0.0584668055, 14),
    "sapo 1 / 1.05": (sequence_mean, sapo_loss, (1.0, 1.05), -0.0962080284, 0.3000077276, 14),
}


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_equals_trl(name: str) -> None:
    mean, objective, bounds, loss, norm, count = FAMILY[name]
    got_loss, got_norm, nonzero = loss_and_gradient(mean, objective, *bounds)
    assert abs(got_loss - loss) < 1e-9
    assert abs(got_norm - norm) < 1e-9
    assert nonzero == count


def test_cispo_in_a_band_equals_verl() -> None:
    # verl computes in float32
    assert abs(loss_and_gradient(token_mean, cispo_loss, 0.8, 1.2)[0] + 0.1530302028) < 1e-7


def test_whitened_group_advantages_equal_verl_up_to_its_bessel_correction() -> None:
    # returns 1, 0 | 2, .5 in two groups, on 5, 3, 4, 2 tokens: verl divides by the std over n - 1 = 13 of 14 tokens
    batch = batch_of(
        *(
            episode(turn((0,), range(1, n + 1)), reward=r, group=g)
            for n, r, g in zip(LENGTHS, (1.0, 0.0, 2.0, 0.5), (0, 0, 1, 1), strict=True)
        ),
        layout="per_turn",
    )
    config = REINFORCEPlusPlus.Config(kl=KL(), group_baseline=True)
    advantage_BT = config.build(Table(8), Sampling(), 4096).update(batch).per_token["advantage"]
    for row, verl in enumerate((0.52203, -1.102064, 0.928054, -1.508087)):
        assert float(advantage_BT[row, 1]) == pytest.approx(verl * (14 / 13) ** 0.5, abs=2e-5)
