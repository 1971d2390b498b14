"""What the clip lets through: the effective weight w in grad = w A grad log pi."""

from __future__ import annotations

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.functional.objectives import token_objective
from strop.functional.ratios import clip_active, clipped_loss, log_ratio

RATIOS = (0.25, 0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 2.0, 3.5, 5.0)
TABLE = {
    ("ppo", +1.0): (0.2, 0.2, (0.25, 0.5, 0.79, 0.81, 1, 1.19, 0, 0, 0, 0)),
    ("ppo", -1.0): (0.2, 0.2, (0, 0, 0, 0.81, 1, 1.19, 1.21, 2, 3.5, 5)),
    ("dapo", +1.0): (0.2, 0.28, (0.25, 0.5, 0.79, 0.81, 1, 1.19, 1.21, 0, 0, 0)),
    ("dapo", -1.0): (0.2, 0.28, (0, 0, 0, 0.81, 1, 1.19, 1.21, 2, 3.5, 5)),
}


@pytest.mark.parametrize(("name", "advantage"), TABLE)
def test_effective_weights_are_those_of_the_clipped_objective(name: str, advantage: float) -> None:
    low, high, weights = TABLE[name, advantage]
    log_ratio_B1 = torch.tensor(RATIOS, dtype=torch.float64).log().unsqueeze(1).requires_grad_(True)
    advantage_B1 = torch.full_like(log_ratio_B1, advantage).detach()
    clipped_loss(log_ratio_B1.exp(), advantage_B1, low, high).sum().backward()
    got = (-log_ratio_B1.grad / advantage).squeeze(1)  # the loss is -w A log pi
    assert torch.allclose(got, torch.tensor(weights, dtype=torch.float64), atol=1e-12)
    active = clip_active(log_ratio_B1.detach().exp(), advantage_B1, low, high).squeeze(1)
    assert active.tolist() == [w == 0 for w in weights]


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
