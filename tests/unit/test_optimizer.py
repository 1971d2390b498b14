"""What stops a step before anything moves, what bounds it, and how its rate warms up."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, flat, transformer, turn
from exact.coin import build, coin, identical, pair
from exact.learners import GRADIENT, as_baseline, every, learner
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.functional.divergences import KL
from strop.optimizer import SGD, AdamW
from strop.schedules import Linear
from strop.types import NonFinite, Sampling, Term, WeightsLock


@pytest.mark.parametrize("kind", every(GRADIENT))
@pytest.mark.parametrize("fault", ["nan weight", "infinite weight"])
def test_non_finite_is_raised_before_anything_moves(kind: Any, fault: str) -> None:
    policy = transformer("gpt2", value_head=True)
    algorithm = learner(kind, policy, optimizer=AdamW(lr=0.1), kl=KL())
    good = batch_of(episode(turn((1,), (2, 3)), reward=1.0), as_baseline(episode(turn((1,), (4,)), reward=0.0)))
    algorithm.update(good)
    with torch.no_grad():
        policy.parameters()[0][3, 0] = math.nan if fault == "nan weight" else math.inf
    before, state = flat(policy.parameters()), copy.deepcopy(algorithm.state_dict())
    with pytest.raises(NonFinite, match=r"the loss|the gradient") as caught:  # a saturated loss hides an infinity
        algorithm.update(good)
    assert caught.value.batch.tokens_BT is good.tokens_BT
    after = flat(policy.parameters())
    assert torch.equal(before.view(torch.int64), after.view(torch.int64))
    assert identical(state, algorithm.state_dict())


def test_a_gradient_that_overflows_is_caught_though_the_loss_is_finite() -> None:
    policy = coin()
    algorithm = build(REINFORCE, policy)
    policy.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(NonFinite, match="gradient"):
        algorithm.update(pair())
    assert float(policy.weight.detach().abs().sum()) == 0.0


def test_clipping_bounds_the_step_and_reports_the_norm_before() -> None:
    policy = coin()
    config = RLOO.Config(optimizer=SGD(lr=1.0, max_grad_norm=0.1), kl=KL())
    update = config.build(policy, Sampling(), 4096).update(pair())
    # the gradient by hand: (1, -1, -.5, .5), norm sqrt(2.5)
    assert update.metrics["optimizer/gradient_norm"].value == pytest.approx(math.sqrt(2.5))
    assert float(policy.weight.detach().norm()) == pytest.approx(0.1, rel=1e-5)


def test_warm_up_raises_the_rate_linearly_then_keeps_it() -> None:
    policy = coin()
    config = RLOO.Config(optimizer=AdamW(lr=0.4, warmup_steps=4), kl=KL())
    algorithm = config.build(policy, Sampling(), 4096)
    rates = [algorithm.update(pair()).metrics["optimizer/learning_rate"].value for _ in range(6)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


@pytest.mark.parametrize("kind", [AdamW, SGD])
def test_a_schedule_of_the_rate_counts_the_steps_of_the_optimiser(kind: type) -> None:
    policy = coin()
    algorithm = RLOO.Config(optimizer=kind(lr=Linear(start=0.4, end=0.0, steps=4)), kl=KL()).build(
        policy, Sampling(), 4096
    )
    rates, moved = [], []
    for _ in range(6):
        before = policy.weight.detach().clone()
        rates.append(algorithm.update(pair()).metrics["optimizer/learning_rate"].value)
        moved.append(bool((policy.weight.detach() != before).any()))
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0, 0.0])
    assert moved == [True, True, True, True, False, False]


def test_warm_up_multiplies_the_schedule_of_the_rate() -> None:
    config = RLOO.Config(optimizer=AdamW(lr=Linear(start=0.8, end=0.0, steps=8), warmup_steps=2), kl=KL())
    algorithm = config.build(coin(), Sampling(), 4096)
    rates = [algorithm.update(pair()).metrics["optimizer/learning_rate"].value for _ in range(4)]
    assert rates == pytest.approx([0.4, 0.7, 0.6, 0.5])


def test_a_run_that_goes_on_finds_its_place_in_the_schedule() -> None:
    config = RLOO.Config(optimizer=AdamW(lr=Linear(start=0.4, end=0.0, steps=4)), kl=KL())
    first = config.build(coin(), Sampling(), 4096)
    first.update(pair())
    second = config.build(coin(), Sampling(), 4096)
    second.load_state_dict(first.state_dict())
    assert second.update(pair()).metrics["optimizer/learning_rate"].value == pytest.approx(0.3)


def test_a_schedule_that_falls_below_zero_is_refused_before_anything_moves() -> None:
    policy = coin()
    algorithm = RLOO.Config(optimizer=SGD(lr=Linear(start=0.4, end=-0.4, steps=2)), kl=KL()).build(
        policy, Sampling(), 4096
    )
    algorithm.update(pair())
    algorithm.update(pair())
    before = policy.weight.detach().clone()
    with pytest.raises(ValueError, match=r"gives -0.4 at step 2"):
        algorithm.update(pair())
    assert torch.equal(policy.weight.detach(), before)


def test_a_schedule_that_starts_at_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optimizer\.lr=0"):
        AdamW(lr=Linear(start=0.0, end=1.0, steps=2))


def test_a_parameter_that_never_had_a_gradient_saves_nothing_before_or_after_a_run_that_goes_on() -> None:
    used, unused = policy = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))]
    optimizer = AdamW(lr=0.1).build(policy, WeightsLock())
    optimizer.load_state_dict(optimizer.state_dict())  # as a run does that was killed before its first step
    optimizer.step(batch_of(episode(turn((1,), (2,)), reward=1.0)), [Term((used**3).sum(), {})])
    assert set(optimizer.state_dict()["state"]) == {"0"}
    whole = AdamW(lr=0.1).build([used, unused], WeightsLock())
    whole.step(batch_of(episode(turn((1,), (2,)), reward=1.0)), [Term((used**3).sum(), {})])
    assert set(whole.state_dict()["state"]) == {"0"}


def test_moments_are_there_from_the_start_and_are_not_saved_before_they_say_something() -> None:
    (own,) = policy = [torch.nn.Parameter(torch.tensor([1.0, 2.0]))]
    optimizer = AdamW(lr=0.1, max_grad_norm=None).build(policy, WeightsLock())
    assert set(optimizer.inner.state[own]) == {"step", "exp_avg", "exp_avg_sq"}
    assert optimizer.state_dict()["state"] == {}
    plain = torch.nn.Parameter(own.detach().clone())
    theirs = torch.optim.AdamW([plain], lr=0.1, weight_decay=0.0)
    for _ in range(3):
        optimizer.step(batch_of(episode(turn((1,), (2,)), reward=1.0)), [Term((own**3).sum() / 10, {})])
        theirs.zero_grad()
        ((plain**3).sum() / 10).backward()
        theirs.step()
        assert torch.allclose(own, plain, rtol=1e-6)
    saved = copy.deepcopy(optimizer.state_dict())
    assert saved["state"]["0"]["exp_avg"].abs().sum() > 0
    optimizer.load_state_dict({"num_steps": 0, "state": {}})  # a run that goes back to its start
    optimizer.load_state_dict(saved)
    assert identical(saved, optimizer.state_dict())


def test_momentum_is_the_share_of_the_last_step_that_goes_on() -> None:
    own = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = SGD(lr=0.1, momentum=0.9).build([own], WeightsLock())
    batch, moved = batch_of(episode(turn((1,), (2,)), reward=1.0)), []
    for _ in range(2):
        before = own.item()
        optimizer.step(batch, [Term(own.sum(), {})])
        moved.append(before - own.item())
    assert moved == pytest.approx([0.1, 0.1 + 0.9 * 0.1])  # gradient 1, then 1 + 0.9 of it


def test_a_baseline_stays_where_a_step_fails() -> None:
    policy = transformer("gpt2")
    algorithm = REINFORCE.Config(optimizer=SGD(lr=0.1)).build(policy, Sampling(), 4096)
    good = batch_of(episode(turn((1,), (2, 3)), reward=1.0))
    algorithm.update(good)
    before = algorithm.state_dict()["state"]
    with torch.no_grad():
        policy.parameters()[0][3, 0] = math.nan
    with pytest.raises(NonFinite):
        algorithm.update(good)
    assert algorithm.state_dict()["state"] == before
    assert before["value"] != 0.0
