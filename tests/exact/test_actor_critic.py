"""Actor-critics against exact expectations: every sequence of a tree, weighted by its probability.

All sequences have the same length H, so a mean over tokens is a mean over sequences divided by H.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from strop.algorithms.a2c import A2C
from strop.algorithms.ppo import PPO
from strop.algorithms.vtrace import VTrace
from strop.functional.divergences import KL, KLController
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD
from strop.types import Batch, Pick, Sampling
from strop.verify.actor_critic import (
    HORIZON,
    a2c,
    exact_values,
    expected_step,
    of_logits,
    random_rewards,
    set_values,
    valued_tree,
    vtrace,
)
from strop.verify.tree import PROMPT, Tree, flat, relative

tree = valued_tree
rewards = random_rewards


@pytest.mark.parametrize("n_step", [1, 2])
def test_looking_n_steps_ahead_a_wrong_critic_is_biased(n_step):
    one, paid = tree(), rewards(tree())
    true = of_logits(one, one.true_gradient(paid))
    set_values(one, dict.fromkeys(one.states, 0.0))
    assert relative(of_logits(one, expected_step(one, a2c(one, n_step=n_step), paid)) * HORIZON, true) > 0.1


def test_the_critic_settles_nowhere_else():
    one, paid = tree(), rewards(tree())
    exact = exact_values(one, paid)
    set_values(one, {s: exact[s] + 0.5 for s in one.states})
    for algorithm in (a2c(one, critic=Critic(), n_step=2), vtrace(one, critic=Critic())):
        assert float(expected_step(one, algorithm, paid)[one.policy.weight.numel() :].norm()) > 0.01


def test_uncorrected_off_policy_data_gives_a_biased_gradient():
    one, other, paid = tree(0), tree(1), rewards(tree())
    set_values(one, exact_values(one, paid))
    acted = {s: distribution.detach() for s, distribution in other.distributions().items()}
    corrected = expected_step(one, vtrace(one, ratio_cap=math.inf, trace_cap=math.inf), paid, acted)
    assert (
        relative(of_logits(one, expected_step(one, a2c(one, n_step=None), paid, acted)), of_logits(one, corrected))
        > 0.1
    )


def batch_of_all(of: Tree, paid: list[float]) -> Batch:
    from strop.batch import collate

    return collate(tuple(Pick(one) for one in of.episodes(paid)), "per_turn")


def test_ppo_is_its_slow_reference_over_two_epochs():
    # each quantity from its definition, with autograd on plain logits; KL in the reward, a clipped value loss, entropy
    one, paid = tree(), rewards(tree())
    policy, start = one.policy, tree(3)
    set_values(one, {s: 0.1 * len(s) for s in one.states})
    own = flat(policy.parameters())
    config = PPO.Config(
        optimizer=SGD(lr=0.5), kl=KL(weight=0.3), clip=0.1, critic=Critic(weight=0.4, clip=0.05), entropy=0.2,
        discount=0.9, trace=0.8, epochs=2,
    )  # fmt: skip
    with torch.no_grad():
        policy.weight.copy_(start.policy.weight)
        algorithm = config.build(policy, Sampling(), 4096)
        policy.weight.copy_(own[: policy.weight.numel()].view_as(policy.weight))
    algorithm.update(batch_of_all(one, paid))
    got = flat(policy.parameters())

    weight = own[: policy.weight.numel()].view_as(policy.weight).clone().requires_grad_()
    value = own[policy.weight.numel() :].clone().requires_grad_()
    row = {s: policy.row(PROMPT + s) for s in one.states}

    def probs_of(w: Tensor, s: Any) -> Tensor:
        return torch.log_softmax(w[row[s]], -1)

    fixed_w, fixed_v, reference = weight.detach().clone(), value.detach().clone(), start.policy.weight.detach()
    steps = []  # (state, action, old log-prob, old value, advantage, target)
    for y, reward in zip(one.sequences, paid, strict=True):
        advantage = 0.0
        chain = []
        for t in reversed(range(HORIZON)):
            s, a = y[:t], y[t]
            kl = (probs_of(fixed_w, s)[a] - probs_of(reference, s)[a]).item()
            r = (reward if t == HORIZON - 1 else 0.0) - 0.3 * kl
            following = 0.0 if t == HORIZON - 1 else fixed_v[row[y[: t + 1]]].item()
            delta = r + 0.9 * following - fixed_v[row[s]].item()
            advantage = delta + 0.9 * 0.8 * advantage
            chain.append((s, a, probs_of(fixed_w, s)[a].item(), fixed_v[row[s]].item(), advantage))
        steps += [(*c, c[4] + c[3]) for c in chain]
    mean = sum(c[4] for c in steps) / len(steps)
    std = math.sqrt(sum((c[4] - mean) ** 2 for c in steps) / len(steps))
    for _ in range(2):
        loss = torch.zeros((), dtype=torch.float64)
        for s, a, old, old_value, advantage, target in steps:
            a_hat = (advantage - mean) / (std + 1e-8)
            ratio = (probs_of(weight, s)[a] - old).exp()
            loss = loss + torch.maximum(-ratio * a_hat, -ratio.clamp(0.9, 1.1) * a_hat)
            v = value[row[s]]
            held = old_value + (v - old_value).clamp(-0.05, 0.05)
            loss = loss + 0.4 * 0.5 * torch.maximum((v - target) ** 2, (held - target) ** 2)
            loss = loss + 0.2 * (probs_of(weight, s).exp() * probs_of(weight, s)).sum()
        step = torch.autograd.grad(loss / len(steps), (weight, value))
        with torch.no_grad():
            weight -= 0.5 * step[0]
            value -= 0.5 * step[1]
    assert float((got - torch.cat([weight.detach().flatten(), value.detach()])).abs().max()) < 1e-13


def test_minibatches_are_whole_episodes_each_once_an_epoch_and_dealt_anew():
    one = tree()
    config = PPO.Config(optimizer=SGD(lr=0.1), kl=KL(), epochs=3, minibatches=4)
    algorithm = config.build(one.policy, Sampling(), 4096)
    batch = batch_of_all(one, rewards(one))
    parts = list(algorithm._minibatches(batch))
    assert len(parts) == 12
    epochs = [parts[i : i + 4] for i in (0, 4, 8)]
    for epoch in epochs:
        assert sorted(row for rows in epoch for row in rows) == list(range(len(one.sequences)))
    assert epochs[0] != epochs[1]
    again = config.build(one.policy, Sampling(), 4096)
    assert list(again._minibatches(batch)) == parts
    other = config.build(one.policy, Sampling(), 4096, seed=1)
    assert list(other._minibatches(batch)) != parts


def test_the_controller_moves_the_weight_that_the_next_batch_uses():
    one, paid = tree(), rewards(tree())
    config = PPO.Config(
        optimizer=SGD(lr=1.0), kl=KL(weight=0.5), kl_controller=KLController(target=0.01, horizon=54), epochs=1
    )
    algorithm = config.build(one.policy, Sampling(), 4096)
    first = algorithm.update(batch_of_all(one, paid)).metrics
    second = algorithm.update(batch_of_all(one, paid)).metrics
    weight = algorithm.reference.kl.weight
    third = algorithm.update(batch_of_all(one, paid)).metrics
    assert first["policy/kl_weight"].value == 0.5
    # at the start KL is 0: -20 % of 27 / 54; after a step it is what the second batch measured
    error = min(max(second["policy/kl"].value / 0.01 - 1, -0.2), 0.2)
    assert second["policy/kl_weight"].value == pytest.approx(0.5 * 0.9)
    assert third["policy/kl_weight"].value == pytest.approx(0.5 * 0.9 * (1 + error * 27 / 54))
    assert error != -0.2
    assert weight == third["policy/kl_weight"].value


def test_the_controller_counts_the_episodes_that_are_scored():
    one, paid = tree(), rewards(tree())
    config = PPO.Config(optimizer=SGD(lr=1.0), kl=KL(weight=0.5), kl_controller=KLController(target=0.01, horizon=54))
    algorithm = config.build(one.policy, Sampling(), 4096)
    batch = batch_of_all(one, paid)
    algorithm.update(replace(batch, weight_E=batch.weight_E * (torch.arange(27) >= 9)))
    assert algorithm.reference.kl.weight == pytest.approx(0.5 * (1 - 0.2 * 18 / 54))


def test_a_separate_critic_leaves_the_policys_own_head_alone_and_is_kept():
    one, paid = tree(), rewards(tree())
    algorithm = a2c(one, critic=Critic(separate=True))
    twin = algorithm.critic
    algorithm.update(batch_of_all(one, paid))
    assert one.policy.value.detach().abs().max() == 0
    assert twin.value.detach().abs().max() > 0.1
    assert torch.equal(algorithm.state_dict()["critic"]["value"], twin.value)


@pytest.mark.parametrize("entropy", [0.0, 0.1])
def test_a_critic_that_warms_up_learns_the_mean_reward_behind_each_state_and_the_policy_stays(entropy):
    """The batch has each sequence once. At weight 3 a step leaves 8/9 of the error at the last token, less before."""
    one, paid = tree(), rewards(tree())
    start, batches = one.policy.weight.detach().clone(), 120
    algorithm = a2c(one, critic=Critic(weight=3.0, separate=True, warmup=batches), n_step=None, entropy=entropy)
    batch = batch_of_all(one, paid)
    for _ in range(batches):
        algorithm.update(batch)
    assert torch.equal(one.policy.weight, start)
    for state in one.states:
        behind = [r for sequence, r in zip(one.sequences, paid, strict=True) if sequence[: len(state)] == state]
        found = algorithm.critic.value[algorithm.critic.row((*PROMPT, *state))].item()
        assert found == pytest.approx(sum(behind) / len(behind), abs=1e-5)
    algorithm.update(batch)
    assert not torch.equal(one.policy.weight, start)


def test_after_its_warmup_it_is_the_algorithm_without():
    one, other, paid = tree(), tree(), rewards(tree())
    warm = a2c(one, critic=Critic(separate=True, warmup=2))
    plain = a2c(other, critic=Critic(separate=True))
    for _ in range(2):
        warm.update(batch_of_all(one, paid))
    plain.critic.load_state_dict(warm.critic.state_dict())
    for algorithm, of in ((warm, one), (plain, other)):
        algorithm.update(batch_of_all(of, paid))
    assert torch.equal(one.policy.weight, other.policy.weight)
    assert torch.equal(warm.critic.value, plain.critic.value)


def test_a_value_head_cannot_warm_up_alone():
    with pytest.raises(ValueError, match=r"critic.warmup=3: .* set algorithm.critic.separate=true"):
        Critic(warmup=3)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (PPO, {"kl": KL(weight=0.1, placement="loss", estimator="k2")}, "KL in the reward"),
        (PPO, {"kl": KL(), "kl_controller": KLController()}, "set algorithm.kl.weight above 0"),
        (PPO, {"trace": 1.5}, "trace=1.5"),
        (PPO, {"clip": -0.1}, "clip keeps ratios in"),
        (PPO, {"clip": 0.3, "dual_clip": 1.2}, "dual_clip=1.2: it is at least 1.3; the clip ends there"),
        (A2C, {"n_step": 0}, "none looks to the end"),
        (VTrace, {"trace_cap": 2.0}, "0 < trace_cap <= ratio_cap"),
    ],
)
def test_impossible_arguments_are_refused(kind, fields, words):
    with pytest.raises(ValueError, match=words):
        kind.Config(**fields).build(tree().policy, Sampling(), 64)


def test_only_the_first_draw_of_vtrace_measures_the_sampler():
    # later draws may come from older weights: a gap there would be no error of the sampler's
    one, paid = tree(), rewards(tree())
    algorithm = vtrace(one)
    first, second = (algorithm.update(batch_of_all(one, paid)).metrics for _ in range(2))
    assert first["policy/sampler_gap_max"].value < 1e-12
    assert "policy/sampler_gap_max" not in second
    assert first["policy/ratio"].value == pytest.approx(1.0)


def test_a2c_measures_the_sampler_at_every_step():
    one, paid = tree(), rewards(tree())
    algorithm = a2c(one)
    algorithm.update(batch_of_all(one, paid))
    assert algorithm.update(batch_of_all(one, paid)).metrics["policy/sampler_gap_max"].value < 1e-12


def test_ppo_measures_the_sampler_before_it_has_moved():
    # the second epoch's log-probs are another policy's: a gap there would be no error of the sampler's
    one, paid = tree(), rewards(tree())
    config = PPO.Config(optimizer=SGD(lr=1.0), kl=KL(), epochs=2)
    metrics = config.build(one.policy, Sampling(), 4096).update(batch_of_all(one, paid)).metrics
    assert metrics["policy/sampler_gap_max"].value < 1e-12
