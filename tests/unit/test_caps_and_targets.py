"""V-trace's two caps, the copies that trail behind by a share, and what a critic reports, each by hand or by a loop."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.coin import HALF, coin
from exact.coin import build as built_on
from exact.learners import VALUE_BASED, configured
from strop.algorithms.a2c import A2C
from strop.algorithms.ppo import PPO
from strop.algorithms.vtrace import VTrace
from strop.batch import collate
from strop.functional.divergences import KL
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Pick, Sampling, Source, Unscored
from strop.verify.actor_critic import random_rewards, set_values, valued_tree, vtrace
from strop.verify.tree import PROMPT


def test_the_caps_of_vtrace_bound_the_ratio_and_the_trace() -> None:
    # 1802.01561, eq. 1 as a double sum: v_s = V_s + sum_t discount^(t-s) (prod_{i < t} c_i) rho_t delta_t and
    # A_s = rho_s (r_s + discount v_{s+1} - V_s), with rho = min(2, pi/mu), c = min(.7, pi/mu); another table acted
    one, other, discount, horizon = valued_tree(0), valued_tree(1), 0.9, 3
    set_values(one, {s: 0.5 - 0.3 * len(s) + 0.1 * sum(s) for s in one.states})
    paid, own = random_rewards(one), {s: distribution.tolist() for s, distribution in one.distributions().items()}
    acted = {s: distribution.detach() for s, distribution in other.distributions().items()}
    batch = collate(tuple(Pick(e) for e in one.episodes(paid, distributions=acted)), "per_turn")
    before = one.policy.value.detach().clone()
    algorithm = vtrace(one, discount=discount, ratio_cap=2.0, trace_cap=0.7, critic=Critic(weight=0.4))
    update = algorithm.update(batch)

    ratios, advantages, pushed = [], [], torch.zeros_like(before)
    for y, reward in zip(one.sequences, paid, strict=True):
        rows = [one.policy.row(PROMPT + y[:t]) for t in range(horizon)]
        value = [before[row].item() for row in rows] + [0.0]
        ratio = [math.exp(own[y[:t]][y[t]] - acted[y[:t]][y[t]].item()) for t in range(horizon)]
        rewards = [0.0] * (horizon - 1) + [reward]
        target = []
        for s in range(horizon):
            total, product = value[s], 1.0
            for t in range(s, horizon):
                delta = rewards[t] + discount * value[t + 1] - value[t]
                total += discount ** (t - s) * product * min(2.0, ratio[t]) * delta
                product *= min(0.7, ratio[t])
            target.append(total)
        target.append(0.0)
        for s in range(horizon):
            advantages.append(min(2.0, ratio[s]) * (rewards[s] + discount * target[s + 1] - value[s]))
            pushed[rows[s]] += 0.4 * (target[s] - value[s]) / len(one.sequences) / horizon
        ratios += ratio
    assert max(ratios) > 2.0  # both caps bite, and not on the same ratios alone
    assert any(0.7 < ratio < 2.0 for ratio in ratios)
    assert update.per_token["advantage"][batch.action_BT].tolist() == pytest.approx(advantages, abs=1e-13)
    assert (one.policy.value.detach() - before).tolist() == pytest.approx(pushed.tolist(), abs=1e-13)
    above = sum(ratio > 2.0 for ratio in ratios) / len(ratios)
    assert update.metrics["policy/ratio_capped"].value == pytest.approx(above)


def test_episodes_from_a_file_say_nothing_about_the_sampler() -> None:
    # their log-probs are another distribution's by intent: a gap in the first draw is no error of the sampler's
    one = episode(turn((9,), (0,), (-0.1,)), reward=1.0)
    for source, measured in ((Source.POLICY, True), (Source.DATA, False)):
        metrics = built_on(VTrace, coin()).update(batch_of(replace(one, source=source), layout="per_turn")).metrics
        assert ("policy/sampler_gap_max" in metrics) is measured


def copies(algorithm: Any) -> list[tuple[Any, Any]]:
    """(the copy, the network it trails) of an algorithm that has them."""
    return list(zip(algorithm.method.copies, algorithm.method.networks, strict=True))


@pytest.mark.parametrize("kind", VALUE_BASED)
def test_a_target_copy_moves_by_target_share_at_every_update(kind: Any) -> None:
    # copy <- copy / 2 + policy / 2: with the policy at p1 and then p2 it is c/2 + p1/2, then c/4 + p1/4 + p2/2
    policy = Table(3, capacity=8, value_head=True)
    with torch.no_grad():
        policy.weight.copy_(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    fields = {"target_share": 0.5, "target_every": 1, "jitter": 0.1}
    algorithm = configured(kind, optimizer=SGD(lr=0.5), **fields).build(policy, Sampling(), 4096)
    expected = [copy.deepcopy(slow.parameters()) for slow, _ in copies(algorithm)]
    for reward in (3.0, -2.0):
        algorithm.update(batch_of(episode(turn((1,), (2, 0)), reward=reward), layout="per_turn"))
        for i, (_, fast) in enumerate(copies(algorithm)):
            expected[i] = [(c.detach() + p.detach()) / 2 for c, p in zip(expected[i], fast.parameters(), strict=True)]
    for (slow, fast), wanted in zip(copies(algorithm), expected, strict=True):
        assert not torch.equal(slow.parameters()[0], fast.parameters()[0])
        for got, number in zip(slow.parameters(), wanted, strict=True):
            assert torch.allclose(got, number, rtol=0, atol=1e-15)


def valued_pair() -> Batch:
    """ "0 1" pays 3 and "1" pays 1, beside a lost episode of the same group."""
    return batch_of(
        episode(turn((9,), (0, 1), (HALF, HALF)), reward=3.0),
        episode(turn((9,), (1,), (HALF,)), reward=1.0),
        episode(turn((9,), (1, 0), (HALF, HALF)), reward=Unscored("lost")),
        layout="per_turn",
    )


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(("kind", "fields"), [
    (A2C, {"n_step": None}), (VTrace, {}), (PPO, {"trace": 1.0, "epochs": 1}),
])  # fmt: skip
def test_critic_metrics_by_hand(kind: Any, fields: dict[str, Any], separate: bool) -> None:
    # V = 1 before the first token and 2 before the second; looking to the end the targets are 3, 3 and 1.
    # mean V = (1 + 2 + 1)/3; R - V = 2, 1, 0 has variance 2/3, R has 8/9: 1 - 3/4 is explained;
    # loss = (4 + 1 + 0)/2/3, and V moves by .7 of the mean error. The lost episode counts nowhere.
    policy = coin()
    algorithm = built_on(kind, policy, entropy=0.0, critic=Critic(weight=0.7, separate=separate), **fields)
    reader = algorithm.critic if separate else policy
    with torch.no_grad():
        reader.value[:2] = torch.tensor([1.0, 2.0])
    update = algorithm.update(valued_pair())
    assert update.per_token["value"][valued_pair().action_BT].tolist() == [1.0, 2.0, 1.0, 1.0, 0.0]
    assert update.metrics["value/mean"].value == pytest.approx(4 / 3)
    assert update.metrics["value/explained_variance"].value == pytest.approx(1 / 4)
    assert update.metrics["value/loss"].value == pytest.approx(5 / 6)
    assert reader.value[:2].tolist() == pytest.approx([1 + 0.7 * (2 + 0) / 3, 2 + 0.7 / 3])
    assert not separate or not policy.value.any()


@pytest.mark.parametrize(("n_step", "first"), [(1, -3.0), (2, -2.5), (5, -2.5), (None, -2.5)])
def test_a2c_discounts_later_rewards(n_step: int | None, first: float) -> None:
    # V = 4 and 2, "0 1" pays 3 at its end, discount .5: delta = .5 * 2 - 4 = -3, then 3 - 2 = 1; both: -3 + .5 * 1
    policy = coin()
    with torch.no_grad():
        policy.value[:2] = torch.tensor([4.0, 2.0])
    batch = batch_of(episode(turn((9,), (0, 1), (HALF, HALF)), reward=3.0), layout="per_turn")
    update = built_on(A2C, policy, n_step=n_step, discount=0.5, critic=Critic()).update(batch)
    assert update.per_token["advantage"][batch.action_BT].tolist() == [first, 1.0]
    assert policy.value[:2].tolist() == [4 + first / 2, 2 + 1 / 2]


def test_explained_variance_is_left_out_where_all_targets_are_equal() -> None:
    batch = batch_of(episode(turn((9,), (0, 1), (HALF, HALF)), reward=3.0), layout="per_turn")
    metrics = built_on(A2C, coin(), n_step=None, kl=KL()).update(batch).metrics
    assert "value/explained_variance" not in metrics
    assert metrics["value/mean"].count == 2
