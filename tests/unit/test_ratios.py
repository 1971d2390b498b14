"""What the clip lets through: the effective weight w in grad = w A grad log pi."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.algorithms import ppo
from strop.algorithms.cispo import CISPO, cispo_loss
from strop.algorithms.dapo import DAPO
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.gspo import gspo_loss
from strop.algorithms.sapo import sapo_loss
from strop.functional.aggregation import sequence_mean
from strop.functional.objectives import policy_gradient, token_objective
from strop.functional.ratios import check_clip, log_ratio
from strop.policies.table import Table
from strop.types import Sampling
from strop.verify.clipping import PPO, RATIOS
from strop.verify.ratios import BAND, HIGHER

CLIPPED = partial(token_objective, low=0.2, high=0.2)
CLIPPED_HIGHER = partial(token_objective, low=0.2, high=0.28)
DUAL, DELTA = (partial(token_objective, low=0.2, high=0.2, dual=dual) for dual in (3.0, 4.0))
SOFT = partial(sapo_loss, tau_positive=1.0, tau_negative=1.05)
CAP = partial(cispo_loss, floor=0.0, cap=5.0)
HELD = partial(cispo_loss, floor=0.8, cap=1.2)


def built(kind: Any, **fields: Any) -> Any:
    """The loss of an algorithm with these fields, which is built where it is called."""
    return lambda *given: (
        kind.Config(**fields).build(Table(3, capacity=4, value_head=True), Sampling(), 4096).loss(*given)
    )


TABLE = [
    *(("ppo", CLIPPED, sign, weights) for sign, weights in PPO.items()),
    *(("dapo", CLIPPED_HIGHER, sign, weights) for sign, weights in HIGHER.items()),
    ("dual clip 3", DUAL, +1.0, PPO[1.0]),
    ("dual clip 3", DUAL, -1.0, (*PPO[-1.0][:-2], 0, 0)),
    ("delta 4", DELTA, -1.0, (*PPO[-1.0][:-1], 0)),
    *(("cispo cap 5", CAP, sign, RATIOS) for sign in (+1.0, -1.0)),
    *(("cispo .8 to 1.2", HELD, sign, weights) for sign, weights in BAND.items()),
    # what the algorithms make of their fields
    ("grpo, dual clip 3", built(GRPO, dual_clip=3.0), -1.0, (*PPO[-1.0][:-2], 0, 0)),
    *(("ppo itself", built(ppo.PPO), sign, weights) for sign, weights in PPO.items()),
    ("ppo itself, dual clip 3", built(ppo.PPO, dual_clip=3.0), +1.0, PPO[1.0]),
    ("ppo itself, dual clip 3", built(ppo.PPO, dual_clip=3.0), -1.0, (*PPO[-1.0][:-2], 0, 0)),
    ("dr. grpo, dual clip 3", built(DrGRPO, dual_clip=3.0), -1.0, (*PPO[-1.0][:-2], 0, 0)),
    *(("dapo itself", built(DAPO), sign, weights) for sign, weights in HIGHER.items()),
    *(("cispo itself", built(CISPO, floor=0.8, cap=1.2), sign, weights) for sign, weights in BAND.items()),
    ("sapo", SOFT, +1.0, (0.2179, 0.47, 0.7814, 0.8027, 1, 1.1793, 1.1968, 1.5729, 0.9815, 0.3533)),
    ("sapo", SOFT, -1.0, (0.2149, 0.4671, 0.7805, 0.802, 1, 1.1782, 1.1954, 1.5362, 0.8818, 0.2911)),
]


@pytest.mark.parametrize(("name", "objective", "advantage", "weights"), TABLE)
def test_effective_weights(name: str, objective: Any, advantage: float, weights: tuple[float, ...]) -> None:
    # ten answers of one token; the loss is -w A log pi where the gradient is taken
    batch = batch_of(*(episode(turn((0,), (1,))) for _ in RATIOS))
    new_BT = torch.zeros(batch.tokens_BT.shape, dtype=torch.float64)
    new_BT[:, 1] = torch.tensor(RATIOS, dtype=torch.float64).log()
    new_BT.requires_grad_(True)
    advantage_BT = torch.full_like(new_BT, advantage).detach()
    mask_BT = batch.action_BT.double()
    loss, metrics = objective(batch, new_BT, torch.zeros_like(new_BT).detach(), advantage_BT, mask_BT)
    loss.backward()
    got = -new_BT.grad[:, 1] / advantage
    tolerance = 6e-5 if name == "sapo" else 1e-12  # its numbers are rounded to four places
    assert torch.allclose(got, torch.tensor(weights, dtype=torch.float64), atol=tolerance, rtol=0)
    assert metrics["policy/ratio"].value == pytest.approx(sum(RATIOS) / 10)
    if "policy/clip_active" in metrics:
        assert metrics["policy/clip_active"].total == sum(w == 0 for w in weights)
    if name == "cispo .8 to 1.2":
        assert metrics["policy/ratio_outside"].total == 7  # .25 .5 .79 below, 1.21 2 3.5 5 above


@pytest.mark.parametrize("tau", [0.3, 1.0, 7.0])
def test_sapo_weighs_by_one_at_ratio_one_for_every_tau(tau: float) -> None:
    batch = batch_of(episode(turn((0,), (1,))))
    new_BT = torch.zeros(batch.tokens_BT.shape, dtype=torch.float64, requires_grad=True)
    one_BT = torch.ones_like(new_BT).detach()
    sapo_loss(batch, new_BT, one_BT * 0, one_BT, batch.action_BT.double(), tau, 99.0)[0].backward()
    assert new_BT.grad.tolist() == [[0.0, -1.0]]


@pytest.mark.parametrize("bounds", [(-0.1, 0.2), (1.1, 0.2), (0.2, -0.1), (0.2, 0.2, 1.1)])
def test_bounds_that_mean_nothing_are_refused(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="clip"):
        check_clip(*bounds)


VARIANTS = {
    "token": CLIPPED, "dual": DUAL, "sapo": SOFT, "cispo": CAP, "plain": policy_gradient,
    "gspo": partial(gspo_loss, low=3e-4, high=4e-4),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_at_ratio_one_every_variant_has_the_plain_gradient(name: str) -> None:
    # under sequence_mean and one advantage a sequence: d loss / d log pi_t = -A_i / (E L_i)
    batch = batch_of(episode(turn((0,), (1, 2))), episode(turn((0,), (3, 4, 5))))
    new_BT = torch.randn(batch.tokens_BT.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    advantage_BT = torch.tensor([[0.7], [-1.3]], dtype=torch.float64).expand_as(new_BT)
    leaf = new_BT.clone().requires_grad_(True)
    loss, _ = VARIANTS[name](batch, leaf, new_BT, advantage_BT, sequence_mean(batch))
    loss.backward()
    expected = torch.zeros_like(leaf).detach()
    expected[0, 1:3], expected[1, 1:4] = -0.7 / 2 / 2, 1.3 / 2 / 3
    assert torch.allclose(leaf.grad, expected, atol=1e-15)


def test_gspo_has_the_gradient_of_gspo_token() -> None:
    # GSPO-token: s_it = sg(s_i) rho_it / sg(rho_it) in place of s_i, one A a sequence; a wide and a narrow band
    batch = batch_of(episode(turn((0,), (1, 2))), episode(turn((0,), (3, 4, 5))), episode(turn((0,), (3,))))
    generator = torch.Generator().manual_seed(3)
    new_BT, old_BT = (torch.randn(batch.tokens_BT.shape, dtype=torch.float64, generator=generator) for _ in range(2))
    advantage_BT = torch.tensor([[0.7], [-1.3], [0.4]], dtype=torch.float64).expand_as(new_BT)
    for low, high in ((0.9, 9.0), (0.2, 0.2)):
        leaves = [new_BT.clone().requires_grad_(True) for _ in range(2)]
        gspo_loss(batch, leaves[0], old_BT, advantage_BT, sequence_mean(batch), low, high)[0].backward()
        total = torch.zeros((), dtype=torch.float64)
        for i, length in enumerate((2, 3, 1)):
            new, old, a = leaves[1][i, 1 : 1 + length], old_BT[i, 1 : 1 + length], advantage_BT[i, 0]
            s = (new - old).mean().exp().detach() * (new - new.detach()).exp()
            total = total - torch.minimum(s * a, s.clamp(1 - low, 1 + high) * a).mean() / 3
        total.backward()
        assert float(leaves[1].grad.abs().max()) > 1e-3
        assert torch.allclose(leaves[0].grad, leaves[1].grad, atol=1e-15)


def test_first_epoch_value_and_gradient_are_those_of_the_plain_objective() -> None:
    batch = batch_of(episode(turn((0,), (1, 2))), episode(turn((0,), (3, 4, 5))))
    new_BT = torch.randn(batch.tokens_BT.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    advantage_BT = torch.randn(new_BT.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight_BT = torch.where(batch.action_BT, 0.25, 0.0).double()
    leaf = new_BT.clone().requires_grad_(True)
    loss, metrics = token_objective(batch, leaf, new_BT, advantage_BT, weight_BT, 0.2, 0.2)
    loss.backward()
    assert abs(float(loss.detach() + (weight_BT * advantage_BT).sum())) < 1e-15
    assert torch.allclose(leaf.grad, -weight_BT * advantage_BT, atol=1e-15)
    assert metrics["policy/ratio"].value == 1.0
    assert metrics["policy/clip_active"].value == 0.0


def test_log_ratio_outside_the_mask_is_zero_even_where_the_input_is_nan() -> None:
    mask = torch.tensor([[True, False]])
    new = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    got = log_ratio(new, torch.tensor([[-0.5, torch.nan]]), mask)
    got.sum().backward()
    assert got.tolist() == [[-0.5, 0.0]]
    assert new.grad.tolist() == [[1.0, 0.0]]
