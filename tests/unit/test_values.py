"""Look-ahead advantages against slow loops written from the definitions, over chains with gaps, ends and cuts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, turn
from strop.functional.divergences import KLController
from strop.functional.returns import returns_to_go
from strop.functional.values import (
    explained_variance,
    gae,
    n_step_advantage,
    td_errors,
    value_loss,
    vtrace,
)
from strop.types import Batch, End, Part


def chains(layout: str) -> Batch:
    """Seven actions in one row with the environment's tokens between; a rewritten history; a truncated end."""
    rewards = (0.5, -1.0, 0.25, 2.0, 0.0, 1.5, -0.5)
    return batch_of(
        episode(
            turn((1,), (2, 3, 4)),
            turn((1, 2, 3, 4, 9, 9), (2, 5)),
            turn((1, 2, 3, 4, 9, 9, 2, 5, 8), (3, 0)),
            parts={"r": Part(1.0, sum(rewards), tokens=rewards)},
        ),
        episode(turn((1,), (4, 4)), turn((2, 6), (5, 0)), reward=3.0),
        episode(turn((3,), (1, 1, 1)), reward=2.0, end=End.TRUNCATED, final=(3, 1, 1, 1, 7)),
        layout=layout,
    )


def values_of(batch: Batch) -> Tensor:
    value_BT = torch.randn(batch.tokens_BT.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.where(batch.decision_BT, value_BT, 0.0)


def walk(batch: Batch, slot: int) -> list[int]:
    """The flat slots of the chain from `slot` on; the last may be a bootstrap slot."""
    found = [slot]
    while (following := int(batch.next_BT.flatten()[found[-1]])) >= 0:
        found.append(following)
    return found


def action_slots(batch: Batch) -> list[int]:
    return batch.action_BT.flatten().nonzero().flatten().tolist()


def n_step_by_hand(batch: Batch, value_BT: Tensor, slot: int, n: int, discount: float) -> float:
    """r_0 + .. + discount^(n-1) r_(n-1) + discount^n V_n - V_0, with 0 past the end and V where it is cut."""
    reward_N, value_N, action_N = (x.flatten().tolist() for x in (batch.rewards_BT, value_BT, batch.action_BT))
    chain = walk(batch, slot)
    total = 0.0
    for k, at in enumerate(chain):
        if k == n or not action_N[at]:
            return total + discount**k * value_N[at] - value_N[slot]
        total += discount**k * reward_N[at]
    return total - value_N[slot]


@pytest.mark.parametrize("layout", ["joined", "per_turn"])
@pytest.mark.parametrize("discount", [1.0, 0.9])
@pytest.mark.parametrize("trace", [0.0, 0.5, 0.97, 1.0])
def test_gae_is_the_mixture_of_all_n_step_advantages(layout, discount, trace):
    # (1 - trace) sum_n trace^(n-1) A^(n), the last one with what is left of the weight (1506.02438, eq. 16)
    batch = chains(layout)
    value_BT = values_of(batch)
    delta_BT = td_errors(batch.rewards_BT, value_BT, batch.next_BT, batch.action_BT, discount)
    got_N = gae(delta_BT, batch.next_BT, discount, trace).flatten()
    for slot in action_slots(batch):
        longest = sum(bool(batch.action_BT.flatten()[at]) for at in walk(batch, slot))
        expected = sum(
            (1 - trace) * trace ** (n - 1) * n_step_by_hand(batch, value_BT, slot, n, discount)
            for n in range(1, longest)
        )
        expected += trace ** (longest - 1) * n_step_by_hand(batch, value_BT, slot, longest, discount)
        assert got_N[slot].item() == pytest.approx(expected, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("layout", ["joined", "per_turn"])
@pytest.mark.parametrize("n", [1, 2, 3, 99])
def test_n_step_advantages_by_hand(layout, n):
    batch = chains(layout)
    value_BT = values_of(batch)
    delta_BT = td_errors(batch.rewards_BT, value_BT, batch.next_BT, batch.action_BT, 0.9)
    got_BT = n_step_advantage(delta_BT, batch.next_BT, 0.9, n)
    for slot in action_slots(batch):
        expected = n_step_by_hand(batch, value_BT, slot, n, 0.9)
        assert got_BT.flatten()[slot].item() == pytest.approx(expected, rel=1e-13, abs=1e-13)
    assert got_BT[~batch.action_BT].abs().max() == 0


def test_a_truncated_chain_bootstraps_and_a_terminated_one_does_not():
    # two episodes "1" that pay 2; V is 5 everywhere; the cut one looks at V after its end, the other at 0
    ended = batch_of(episode(turn((3,), (1,)), reward=2.0))
    cut = batch_of(episode(turn((3,), (1,)), reward=2.0, end=End.TRUNCATED, final=(3, 1, 7)))
    for batch, expected in ((ended, 2 - 5), (cut, 2 + 0.5 * 5 - 5)):
        value_BT = torch.where(batch.decision_BT, 5.0, 0.0).double()
        delta_BT = td_errors(batch.rewards_BT, value_BT, batch.next_BT, batch.action_BT, 0.5)
        assert delta_BT[batch.action_BT].tolist() == [expected]
        assert delta_BT[~batch.action_BT].abs().max() == 0


@pytest.mark.parametrize(("ratio_cap", "trace_cap"), [(1.0, 1.0), (math.inf, math.inf), (2.0, 0.7)])
def test_vtrace_is_its_definition(ratio_cap, trace_cap):
    # v_s = V_s + sum_{t >= s} discount^(t-s) (prod_{i < t} c_i) rho_t delta_t  (1802.01561, eq. 1)
    batch, discount = chains("joined"), 0.9
    value_BT = values_of(batch)
    ratio_BT = torch.rand(value_BT.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2
    target_BT, advantage_BT = vtrace(
        batch.rewards_BT, value_BT, batch.next_BT, ratio_BT, batch.action_BT, discount, ratio_cap, trace_cap
    )
    delta_N = td_errors(batch.rewards_BT, value_BT, batch.next_BT, batch.action_BT, discount).flatten().tolist()
    ratio_N, value_N, reward_N = (x.flatten().tolist() for x in (ratio_BT, value_BT, batch.rewards_BT))

    def by_hand(slot: int) -> float:
        total, product = value_N[slot], 1.0
        for k, at in enumerate(walk(batch, slot)):
            total += discount**k * product * min(ratio_N[at], ratio_cap) * delta_N[at]
            product *= min(ratio_N[at], trace_cap)
        return total

    for slot in action_slots(batch):
        assert target_BT.flatten()[slot].item() == pytest.approx(by_hand(slot), rel=1e-13)
        following = int(batch.next_BT.flatten()[slot])
        ahead = reward_N[slot] + (discount * by_hand(following) if following >= 0 else 0.0) - value_N[slot]
        assert advantage_BT.flatten()[slot].item() == pytest.approx(min(ratio_N[slot], ratio_cap) * ahead, rel=1e-12)


def test_vtrace_on_its_own_data_is_the_return_to_go():
    batch = chains("joined")
    value_BT = torch.where(batch.action_BT, values_of(batch), 0.0)  # V = 0 where the truncated one is cut
    target_BT, _ = vtrace(batch.rewards_BT, value_BT, batch.next_BT, torch.ones_like(value_BT), batch.action_BT, 0.9)
    expected_BT = returns_to_go(batch.rewards_BT, batch.next_BT, 0.9)
    assert torch.allclose(target_BT[batch.action_BT], expected_BT[batch.action_BT], rtol=1e-13)


@pytest.mark.parametrize(
    ("value", "old", "clip", "loss", "slope"),
    [
        (3.0, 0.0, None, 2.0, 2.0),  # (3 - 1)^2 / 2
        (3.0, 0.0, 0.5, 2.0, 2.0),  # held at .5: (.5)^2 / 2 is smaller
        (1.25, 0.0, 0.5, 0.125, 0.0),  # held at .5 the error is larger and stands still
        (0.25, 0.0, 0.5, 0.28125, -0.75),  # inside
        (-1.0, 0.0, 0.5, 2.0, -2.0),
    ],
)
def test_value_loss_and_its_clip_by_hand(value, old, clip, loss, slope):
    value_1 = torch.tensor([value], requires_grad=True)
    got = value_loss(value_1, torch.tensor([1.0]), torch.tensor([old]), clip).sum()
    got.backward()
    assert (got.item(), value_1.grad.item()) == pytest.approx((loss, slope))


def test_explained_variance():
    target_N = torch.tensor([1.0, 3.0, 5.0])
    assert explained_variance(target_N, target_N) == 1
    assert explained_variance(torch.full((3,), 3.0), target_N) == 0
    assert explained_variance(-target_N, target_N) == pytest.approx(1 - 4)  # Var(2 R) / Var(R)
    assert math.isnan(explained_variance(target_N, torch.ones(3)))
    assert math.isnan(explained_variance(target_N[:1], target_N[:1]))


def test_the_controller_by_hand():
    # target 6, horizon 100, 10 episodes: far above, +20 % * 10/100; a little below, (5.4/6 - 1) = -10 % * 10/100
    controller = KLController(target=6.0, horizon=100)
    assert controller.after(0.5, 60.0, 10) == pytest.approx(0.5 * 1.02)
    assert controller.after(0.5, 5.4, 10) == pytest.approx(0.5 * 0.99)
    assert controller.after(0.5, 6.0, 10) == 0.5
    with pytest.raises(ValueError, match="horizon=0"):
        KLController(horizon=0)
