"""Enumeration, exact values, the KL-regularised optimum, best-of-n and beams against brute force over completions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from exact.build import transformer
from exact.tree import Tree, table_tree
from strop.planning.beam import beam_search
from strop.planning.best_of_n import best_of_n_bound, best_of_n_distribution, best_of_n_kl, sample_best
from strop.planning.boltzmann import frontier_point, regularised_optimum, soft_policies, soft_values
from strop.planning.enumeration import enumerate_sequences, mean_values, optimal_values, text_mdp
from strop.planning.evaluation import policy_values
from strop.planning.value_iteration import iterate_values
from strop.samplers.local import LocalSampler
from strop.types import Sampling
from strop.verify.planned import PROMPT, STOP, grow, rewards, table, tree
from strop.verify.searching import rarely_ending, slow_beam

pytestmark = pytest.mark.matrix

J_STAR = 0.6854339889623545  # beta ln Z of reference seed 1, reward seed 7, beta .5, computed apart from this library


# ------------------------------------------------------------ enumeration


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("kind", ["table", "gpt2", "llama"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_every_completion_with_its_probability(kind: str, temperature: float) -> None:
    if kind == "table":
        expected = table_tree(4, 4, seed=0, temperature=temperature)
    else:
        expected = Tree(transformer(kind, vocabulary=4), 3, 0, temperature)
    sampling = Sampling(max_tokens=expected.horizon, temperature=temperature)
    found = enumerate_sequences(expected.policy, PROMPT, sampling, STOP)
    assert set(found.sequences) == set(expected.sequences)
    assert set(found.distributions) == set(expected.states)
    if kind == "table":
        assert (len(found.sequences), len(found.distributions)) == (121, 40)
    probs = dict(zip(expected.sequences, expected.probabilities(expected.distributions()).tolist(), strict=True))
    gap = max(abs(math.exp(logprob) - probs[y]) for y, logprob in found.sequences.items())
    near = 1e-6 if kind == "llama" else 1e-14
    assert gap < near
    assert abs(float(found.logprobs_Y.exp().sum()) - 1.0) < 10 * near


def test_what_cannot_be_sampled_is_left_out() -> None:
    found = enumerate_sequences(table(0), PROMPT, Sampling(max_tokens=3, top_k=2), STOP)
    assert abs(float(found.logprobs_Y.exp().sum()) - 1.0) < 1e-14
    assert 0 < len(found.sequences) < 15
    greedy = enumerate_sequences(table(0), PROMPT, Sampling(max_tokens=3, temperature=0.0), STOP)
    assert list(greedy.sequences.values()) == [0.0]


def test_too_many_completions_are_refused() -> None:
    with pytest.raises(ValueError, match="limit=14"):
        enumerate_sequences(table(0), PROMPT, Sampling(max_tokens=3), STOP, limit=14)


# ------------------------------------------------------------ values of prefixes


def test_the_tables_of_a_text_problem_have_the_same_values() -> None:
    reward, found = rewards(7), tree(0)
    mdp, prefixes = text_mdp(found, reward.__getitem__)
    best = iterate_values(mdp, 1.0)
    assert best.rounds == 4  # the horizon, and the sweep that sees no change
    of_policy = policy_values(mdp, [*(found.distributions[p].exp().tolist() for p in prefixes), [1.0, 0.0, 0.0]], 1.0)
    for solved, values in (
        (best, optimal_values(found, reward.__getitem__)),
        (of_policy, mean_values(found, reward.__getitem__)),
    ):
        gap = [abs(solved.value_S[s] - values.value[p]) for s, p in enumerate(prefixes)]
        gap += [np.abs(solved.q_SA[s] - values.q[p].numpy()).max() for s, p in enumerate(prefixes)]
        assert max(gap) < 1e-14
    with pytest.raises(ValueError, match="probability 0"):
        text_mdp(enumerate_sequences(table(0), PROMPT, Sampling(max_tokens=3, top_k=2), STOP), reward.__getitem__)


# ------------------------------------------------------------ the KL-regularised optimum


def test_the_regularised_optimum_three_ways() -> None:
    reference, reward, beta = tree(1), rewards(7), 0.5
    optimum = regularised_optimum(reference.logprobs_Y, reference.rewards_Y(reward.__getitem__), beta)
    soft = soft_values(reference, reward.__getitem__, beta)
    assert optimum.objective == pytest.approx(J_STAR, abs=1e-15)
    assert soft.value[()] == pytest.approx(J_STAR, abs=1e-15)
    assert optimum.reward - beta * optimum.kl == pytest.approx(J_STAR, abs=1e-15)


def test_token_by_token_the_optimum_is_the_same_distribution() -> None:
    reference, reward, beta = tree(1), rewards(7), 0.3
    optimum = regularised_optimum(reference.logprobs_Y, reference.rewards_Y(reward.__getitem__), beta)
    distributions = soft_policies(reference, soft_values(reference, reward.__getitem__, beta), beta)
    for y, logprob in zip(reference.sequences, optimum.logprobs_Y.tolist(), strict=True):
        assert math.fsum(float(distributions[y[:t]][y[t]]) for t in range(len(y))) == pytest.approx(logprob, abs=1e-13)


@pytest.mark.parametrize("seed", range(4))
def test_every_other_policy_falls_short_by_beta_times_its_kl_to_the_optimum(seed: int) -> None:
    reference, reward, beta = tree(1), rewards(7), 0.5
    rewards_Y = reference.rewards_Y(reward.__getitem__)
    optimum = regularised_optimum(reference.logprobs_Y, rewards_Y, beta)
    other_Y = tree(10 + seed).logprobs_Y
    worth = float(other_Y.exp() @ (rewards_Y - beta * (other_Y - reference.logprobs_Y)))
    gap = beta * float(other_Y.exp() @ (other_Y - optimum.logprobs_Y))
    assert optimum.objective - worth == pytest.approx(gap, abs=1e-13)
    assert gap > 0.01


def test_the_frontier_of_samples_in_exact_proportion_is_the_frontier() -> None:
    # a reference of k / 64 a completion, sampled 64 times in exact proportion
    counts, reward = torch.tensor([1, 3, 20, 40]), torch.tensor([2.0, -1.0, 0.5, 0.1], dtype=torch.float64)
    sampled_N = reward.repeat_interleave(counts)
    for beta in (0.1, 0.5, 2.0):
        optimum = regularised_optimum((counts / 64).double().log(), reward, beta)
        point = frontier_point(sampled_N, beta)
        assert point.reward == pytest.approx(optimum.reward, abs=1e-12)
        assert point.kl == pytest.approx(optimum.kl, abs=1e-12)
    assert frontier_point(sampled_N, 1e6).effective_size == pytest.approx(64, rel=1e-6)
    assert frontier_point(sampled_N, 1e-3).effective_size == pytest.approx(1)
    assert frontier_point(sampled_N, 1e-3).kl == pytest.approx(math.log(64))


# ------------------------------------------------------------ best-of-n


def test_best_of_n_kl() -> None:
    reference, reward = tree(1), rewards(7)
    probs_Y, rewards_Y = reference.logprobs_Y.exp(), reference.rewards_Y(reward.__getitem__)
    expected = {2: (0.16615, 0.19315), 4: (0.59550, 0.63629), 16: (1.76254, 1.83509), 64: (2.56502, 3.17451)}
    for n, (kl, bound) in expected.items():
        assert best_of_n_kl(probs_Y, rewards_Y, n) == pytest.approx(kl, abs=5.1e-6)
        assert best_of_n_bound(n) == pytest.approx(bound, abs=5.1e-6)
    assert best_of_n_kl(probs_Y, rewards_Y, 1) == pytest.approx(0.0, abs=1e-15)
    assert best_of_n_kl(probs_Y, rewards_Y, 10**9) == pytest.approx(-math.log(probs_Y[rewards_Y.argmax()]), abs=1e-12)


def test_the_bound_is_an_equality_only_without_atoms() -> None:
    uniform, order = torch.full((100_000,), 1e-5, dtype=torch.float64), torch.arange(100_000, dtype=torch.float64)
    assert best_of_n_kl(uniform, order, 4) == pytest.approx(best_of_n_bound(4), abs=1e-4)


def test_sampled_best_of_n_follows_the_distribution() -> None:
    policy, reward, found = table(1), rewards(7), tree(1)
    probs_Y = best_of_n_distribution(found.logprobs_Y.exp(), found.rewards_Y(reward.__getitem__), 3).tolist()
    sampler, rng, total = LocalSampler(policy, STOP), np.random.default_rng(0), 400
    counts = dict.fromkeys(found.sequences, 0)
    for _ in range(total):
        best = sample_best(sampler, PROMPT, reward.__getitem__, Sampling(max_tokens=3), [rng] * 3)
        assert best.reward == max(best.rewards) == reward[best.completion.tokens]
        counts[best.completion.tokens] += 1
    z = [
        (count - total * p) / math.sqrt(total * p * (1 - p))
        for count, p in zip(counts.values(), probs_Y, strict=True)
        if total * p > 5
    ]
    assert len(z) >= 5
    assert max(map(abs, z)) < 4.0


def test_best_of_n_keeps_the_first_of_equals() -> None:
    class Scripted:
        def sample(self, prompts: Any, sampling: Any, rngs: Any) -> Any:
            from strop.types import Completion

            return [Completion((token,), None, "length") for token in (2, 5, 4, 3)]

    rngs = [np.random.default_rng(0)] * 4
    best = sample_best(Scripted(), (1,), lambda y: float(y[0] in (5, 4)), Sampling(), rngs)
    assert (best.completion.tokens, best.rewards) == ((5,), (0.0, 1.0, 1.0, 0.0))


# ------------------------------------------------------------ beams


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_beam_tells_its_logprob_and_score(power: float) -> None:
    found = tree(0, 4, 4)
    beams = beam_search(table(0, 4, 4), PROMPT, Sampling(max_tokens=4), STOP, 121, power)
    for beam in beams:
        assert beam.logprob == pytest.approx(found.sequences[beam.tokens], abs=1e-14)
        assert beam.score == pytest.approx(beam.logprob / len(beam.tokens) ** power, abs=1e-15)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_a_narrow_beam_keeps_the_likeliest_prefixes(width: int, power: float) -> None:
    missed = 0
    for seed in range(12):
        policy, found = rarely_ending(seed)
        beams = beam_search(policy, PROMPT, Sampling(max_tokens=4), STOP, width, power)
        assert [beam.tokens for beam in beams] == slow_beam(found, 4, width, power)
        missed += beams[0].tokens != max(found.sequences, key=lambda y: found.sequences[y] / len(y) ** power)
    assert missed > 0 or width > 1  # greedy is not exact: the test can tell


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_beams_of_a_transformer(kind: str) -> None:
    policy = transformer(kind, vocabulary=4)
    found = enumerate_sequences(policy, PROMPT, Sampling(max_tokens=3), STOP)
    beams = beam_search(policy, PROMPT, Sampling(max_tokens=3), STOP, 3)
    assert [beam.tokens for beam in beams] == slow_beam(found, 3, 3, 0.0)


def test_a_beam_stops_when_nothing_better_can_come() -> None:
    policy, calls = table(0), []
    with torch.no_grad():
        policy.weight[policy.row(PROMPT)] = torch.tensor([5.0, 0.0, 0.0])
    read = policy.decode
    policy.decode = lambda *given: calls.append(1) or read(*given)  # type: ignore[method-assign]
    assert beam_search(policy, PROMPT, Sampling(max_tokens=3), STOP, 1)[0].tokens == (0,)
    assert not calls
    assert len(grow(3, 3)[1]) == 15


def test_a_beam_goes_on_while_its_best_prefix_can_win() -> None:
    # after two tokens (0) has .45 and (1 0) .1; of the living, (1 1) has .375 and the other at most .035: go on
    policy = table(0)
    distributions = {(): (0.45, 0.5, 0.05), (1,): (0.2, 0.75, 0.05), (2,): (0.2, 0.1, 0.7), (1, 1): (0.9, 0.05, 0.05)}
    with torch.no_grad():
        for prefix, distribution in distributions.items():
            policy.weight[policy.row((*PROMPT, *prefix))] = torch.tensor(distribution, dtype=torch.float64).log()
    beams = beam_search(policy, PROMPT, Sampling(max_tokens=3), STOP, 2)
    assert [beam.tokens for beam in beams] == [(0,), (1, 1, 0)]
    assert math.exp(beams[1].logprob) == pytest.approx(0.5 * 0.75 * 0.9)
