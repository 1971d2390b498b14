"""Enumeration, best-of-n, tree search and beam search over a small language model, against brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from strop.planning.beam import beam_search
from strop.planning.best_of_n import best_of_n_distribution, best_of_n_kl
from strop.planning.boltzmann import regularised_optimum, soft_values
from strop.planning.enumeration import SequenceTree, enumerate_sequences, mean_values, optimal_values
from strop.planning.mcts import Problem, TreeSearch, critic_values
from strop.policies.table import Table
from strop.types import Sampling, Tokens
from strop.verify.checks import Gap
from strop.verify.planned import PROMPT, STOP, grow, rewards, table, tree

DRAWN, PAID = (0.1, 0.25, 0.05, 0.4, 0.2, 0.0), (1.0, 2.0, 2.0, 0.0, 1.0, 3.0)
"""Six completions with two ties, one of them impossible."""


def first_best(probs: Sequence[float], reward: Sequence[float], n: int) -> list[float]:
    """The distribution of the first best of n draws, over all n-tuples."""
    distribution = [0.0] * len(probs)
    for draws in itertools.product(range(len(probs)), repeat=n):
        values = [reward[y] for y in draws]
        distribution[draws[values.index(max(values))]] += math.prod(probs[y] for y in draws)
    return distribution


def check_best_of_n() -> Iterator[Gap]:
    """Best-of-n: the distribution of the first best draw, over all n-tuples."""
    for n in (1, 2, 3, 4):
        probs_Y = best_of_n_distribution(torch.tensor(DRAWN, dtype=torch.float64), torch.tensor(PAID), n)
        worst = max(abs(a - b) for a, b in zip(probs_Y.tolist(), first_best(DRAWN, PAID, n), strict=True))
        yield Gap(worst, 1e-14, f"n = {n}")


def check_best_of_n_kl() -> Iterator[Gap]:
    """Best-of-n: its KL to the policy, over all n-tuples."""
    for n in (1, 2, 3):
        pairs = zip(first_best(DRAWN, PAID, n), DRAWN, strict=True)
        exact = math.fsum(best * math.log(best / prob) for best, prob in pairs if best > 0)
        found = best_of_n_kl(torch.tensor(DRAWN, dtype=torch.float64), torch.tensor(PAID), n)
        yield Gap(abs(found - exact), 1e-14, f"n = {n}")


def check_boltzmann() -> Iterator[Gap]:
    """KL-regularised optimum: beta ln Z over all completions."""
    reference, reward, beta = tree(1), rewards(7), 0.5
    mass = math.fsum(math.exp(logprob + reward[y] / beta) for y, logprob in reference.sequences.items())
    optimum = regularised_optimum(reference.logprobs_Y, reference.rewards_Y(reward.__getitem__), beta)
    soft = soft_values(reference, reward.__getitem__, beta)
    for value, name in (
        (optimum.objective, "its value"),
        (optimum.reward - beta * optimum.kl, "its reward - beta KL"),
        (soft.value[()], "backward induction, token by token"),
    ):
        yield Gap(abs(value - beta * math.log(mass)), 1e-14, name)


def check_enumeration() -> Iterator[Gap]:
    """Enumeration: brute force over all 121 completions, depth first."""
    policy, found, reward = table(0, 4, 4), tree(0, 4, 4), rewards(7, 4, 4)
    prefixes, completions = grow(4, 4)
    distributions = {prefix: policy.weight[policy.row((*PROMPT, *prefix))].softmax(0).tolist() for prefix in prefixes}
    probs = {y: math.prod(distributions[y[:t]][token] for t, token in enumerate(y)) for y in completions}
    best, mean = {}, {}
    for prefix in prefixes:
        below = [y for y in completions if y[: len(prefix)] == prefix]
        best[prefix] = max(reward[y] for y in below)
        mean[prefix] = math.fsum(probs[y] * reward[y] for y in below) / math.fsum(probs[y] for y in below)
    probabilities = {y: math.exp(logprob) for y, logprob in found.sequences.items()}
    yield Gap(_farthest(probabilities, probs), 1e-14, "probabilities")
    yield Gap(_farthest(optimal_values(found, reward.__getitem__).value, best), 0.0, "V* of every prefix")
    yield Gap(_farthest(mean_values(found, reward.__getitem__).value, mean), 1e-13, "V^pi of every prefix")


def _farthest(found: Mapping[Tokens, float], wanted: Mapping[Tokens, float]) -> float:
    """The largest distance; infinite where one has a key that the other has not."""
    if set(found) != set(wanted):
        return math.inf
    return max(abs(found[tokens] - number) for tokens, number in wanted.items())


# ------------------------------------------------------------ tree search


def problem(horizon: int = 4, vocabulary: int = 3, seed: int = 7) -> Problem:
    """Random rewards for whole completions."""
    return Problem(PROMPT, Sampling(max_tokens=horizon), STOP, rewards(seed, vocabulary, horizon).__getitem__)


def check_tree_search() -> Gap:
    """Tree search: argmax Q* has most visits at the root, for 10 of 10 policies (share of failures)."""
    missed = 0
    for seed in range(10):
        task, policy = problem(horizon=3, seed=seed), table(seed, scale=0.3)
        best = optimal_values(tree(seed, scale=0.3), task.reward)
        search = TreeSearch(TreeSearch.Config(num_simulations=300), policy, task, best.value.__getitem__)
        missed += int(search.search().visits_V.argmax()) != int(best.q[()].argmax())
    return Gap(missed / 10, 0.0)


def check_tree_search_values() -> Gap:
    """Tree search: Q* of every token tried at the root, with the maximum backed up from exact leaves."""
    gaps = []
    for seed in range(5):
        task, policy = problem(seed=seed), table(seed, 3, 4)
        best = optimal_values(tree(seed, 3, 4), task.reward)
        config = TreeSearch.Config(num_simulations=100, max_weight=1.0)
        root = TreeSearch(config, policy, task, best.value.__getitem__).search()
        gaps += abs(root.q_V(1.0) - best.q[()].numpy())[root.visits_V > 0].tolist()
    return Gap(max(gaps), 0.0)


def valued(plain: Table, value: Mapping[Tokens, float]) -> Table:
    """The same table with a value head that holds these values."""
    policy = Table(plain.vocabulary, capacity=len(plain.contexts), value_head=True)
    assert policy.value is not None
    with torch.no_grad():
        policy.weight.copy_(plain.weight)
        for context in plain.contexts:
            policy.value[policy.row(context)] = value[context[len(PROMPT) :]]
    return policy


def check_tree_search_critic() -> Gap:
    """Tree search: the best completion, guided by a value head with V*, for 10 of 10 policies (share of failures)."""
    missed = 0
    for seed in range(10):
        task, policy = problem(horizon=3, seed=seed), table(seed, scale=0.3)
        best = optimal_values(tree(seed, scale=0.3), task.reward)
        leaf = critic_values(valued(policy, best.value), task)
        found = TreeSearch(TreeSearch.Config(num_simulations=300), policy, task, leaf).decode()
        missed += task.reward(found) != best.value[()]
    return Gap(missed / 10, 0.0)


# ------------------------------------------------------------ beams


def rarely_ending(seed: int) -> tuple[Table, SequenceTree]:
    """Up to four tokens, rarely ended early: a narrow beam can miss the best completion."""
    policy = table(seed, 4, 4)
    with torch.no_grad():
        policy.weight[:, 0] -= 3.0
    return policy, enumerate_sequences(policy, PROMPT, Sampling(max_tokens=4), STOP)


def slow_beam(found: SequenceTree, horizon: int, width: int, power: float) -> list[Tokens]:
    """Without early stop: grow the `width` likeliest unfinished prefixes, then rank all finished completions."""
    live: list[Tokens] = [()]
    logprob: dict[Tokens, float] = {(): 0.0}
    ended: list[Tokens] = []
    for _ in range(horizon):
        longer: list[Tokens] = []
        for prefix in live:
            for v, step in enumerate(found.distributions[prefix].tolist()):
                logprob[(*prefix, v)] = logprob[prefix] + step
                (ended if (*prefix, v) in found.sequences else longer).append((*prefix, v))
        live = sorted(longer, key=lambda y: -logprob[y])[:width]
    return sorted(ended, key=lambda y: -logprob[y] / len(y) ** power)[:width]


def check_beam_search() -> Gap:
    """Beam search: with width 121, all completions ordered by log-prob / length^power (share of errors)."""
    found, differ = tree(0, 4, 4), 0
    for power in (0.0, 0.5, 1.0):
        beams = beam_search(table(0, 4, 4), PROMPT, Sampling(max_tokens=4), STOP, 121, power)
        ranked = sorted(found.sequences, key=lambda y: -found.sequences[y] / len(y) ** power)
        differ += sum(beam.tokens != y for beam, y in zip(beams, ranked, strict=True))
    return Gap(differ / 363, 0.0)


def check_narrow_beam_search() -> Iterator[Gap]:
    """Beam search: a slow beam search that never stops early, for 4 of 4 policies (share of differences)."""
    for width in (1, 2, 5):
        differ = 0
        for seed, power in itertools.product(range(4), (0.0, 1.0)):
            policy, found = rarely_ending(seed)
            beams = beam_search(policy, PROMPT, Sampling(max_tokens=4), STOP, width, power)
            differ += [beam.tokens for beam in beams] != slow_beam(found, 4, width, power)
        yield Gap(differ / 8, 0.0, f"width {width}")
