"""Tabular temporal-difference methods against slow references: parts of edge-case episodes, decision by decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.double_q import DoubleQ
from strop.algorithms.expected_sarsa import ExpectedSARSA
from strop.algorithms.q_learning import QLearning
from strop.algorithms.sarsa import SARSA
from strop.policies.table import Table
from strop.schedules import Linear
from strop.types import Sampling, Tokens
from strop.verify.awkward import SAMPLING, Story, parts, stories
from strop.verify.checks import Gap
from strop.verify.chunked import CONTEXTS, START, VOCABULARY, Numbers, place
from strop.verify.slowly import Expected, agree, mean

RATES: dict[str, Any] = {"rate": 0.5, "rate_decay": 0.6, "discount": 0.9}
FADING = Sampling(temperature=0.7, epsilon=Linear(start=0.8, end=0.1, steps=8))
"""A distribution that depends on the version that acted."""

Row = list[float]
Target = Callable[[list[Row], Story, int], float | None]
"""(table, story, number of the act) -> what Q(s, a) is moved towards; None leaves it alone."""


def table() -> Table:
    """A table with the rows of START."""
    policy = Table(VOCABULARY, order=2, capacity=len(CONTEXTS))
    for context in CONTEXTS:
        policy.row(context)
    with torch.no_grad():
        policy.weight.copy_(START.weight)
    return policy


def expected_after(rows: list[Row], some: Sequence[Story], errors: dict[tuple[int, int], float]) -> Expected:
    """The expected outcome of a sweep, from the errors of the corrected acts."""
    sizes = [abs(error) for error in errors.values()]
    largest = [max([abs(errors.get((i, t), 0.0)) for t in range(len(s.acts))], default=0.0) for i, s in enumerate(some)]
    scored = [errors.get((i, t), 0.0) for i, s in enumerate(some) if s.weight > 0 for t in range(len(s.acts))]
    metrics = {"q/error_mean": mean(sizes), "q/error_max": max(sizes)}
    return Expected([torch.tensor(rows, dtype=torch.float64)], metrics, {"td_error": scored}, largest)


def slow_sweeps(some: Sequence[Story], target: Target) -> Iterator[Expected]:
    """Every act of every story in order, each correction seen by the next."""
    rows, visits = START.weight.tolist(), defaultdict[tuple[int, int], int](int)
    while True:
        errors = {}
        for i, story in enumerate(some):
            for t, act in enumerate(story.acts):
                aim = target(rows, story, t) if story.weight > 0 else None
                if aim is None:
                    continue
                row, pair = rows[place(act.prefix)], (place(act.prefix), act.token)
                errors[i, t] = aim - row[act.token]
                row[act.token] += story.weight * 0.5 / (visits[pair] + 1) ** 0.6 * errors[i, t]
                visits[pair] += 1
        yield expected_after(rows, some, errors)


def compare(config: Any, slow: Iterator[Expected], name: str, sampling: Sampling = SAMPLING) -> Gap:
    """A config against its slow reference."""
    policy = table()
    return agree(config.build(policy, sampling, 64), policy.parameters(), parts(), slow, name)


def check_q_learning_updates() -> Gap:
    """Q-learning: a slow reference, two updates on parts of edge-case episodes."""

    def target(rows: list[Row], story: Story, t: int) -> float:
        after = story.after[t]
        return story.acts[t].reward + (0.9 * max(rows[place(after)]) if after else 0.0)

    return compare(QLearning.Config(**RATES), slow_sweeps(stories(parts()), target), "a rate that decays")


def check_sarsa_updates() -> Gap:
    """SARSA: a slow reference, two updates on parts of edge-case episodes."""

    def target(rows: list[Row], story: Story, t: int) -> float | None:
        after = story.after[t]
        if not after:
            return story.acts[t].reward
        if t + 1 == len(story.acts):
            return None
        return story.acts[t].reward + 0.9 * rows[place(after)][story.acts[t + 1].token]

    return compare(SARSA.Config(**RATES), slow_sweeps(stories(parts()), target), "a rate that decays")


def check_expected_sarsa_updates() -> Iterator[Gap]:
    """Expected SARSA: a slow reference, two updates on parts of edge-case episodes."""
    aims = {
        "a distribution that fades with the version": None,
        "a distribution of its own": Sampling(temperature=0.4, epsilon=0.3),
    }
    for name, own in aims.items():

        def target(rows: list[Row], story: Story, t: int, own: Sampling | None = own) -> float:
            # .8 at version 0 and .1 at version 8, on a line
            faded = Sampling(temperature=0.7, epsilon=0.8 - 0.7 * story.version / 8)
            return story.acts[t].reward + 0.9 * expected(rows, story.after[t], own or faded)

        config = ExpectedSARSA.Config(**RATES, target=own)
        yield compare(config, slow_sweeps(stories(parts()), target), name, FADING)


def expected(rows: list[Row], after: Tokens, distribution: Sampling) -> float:
    """sum_b pi(b) Q(b); 0 where nothing follows."""
    if not after:
        return 0.0
    table_TV: Tensor = torch.tensor(rows, dtype=torch.float64)
    probs: Row = Numbers(table_TV, table_TV[:, 0]).distributions([after], distribution)[0].tolist()
    return sum(p * q for p, q in zip(probs, rows[place(after)], strict=True))


def slow_double(some: Sequence[Story]) -> Iterator[Expected]:
    """Two tables; the one with fewer corrections of the pair is next, the first on a tie."""
    both = [START.weight.tolist(), START.weight.tolist()]
    visits = [defaultdict[tuple[int, int], int](int) for _ in both]
    shown = START.weight.tolist()
    while True:
        errors = {}
        for i, story in enumerate(some):
            for t, act in enumerate(story.acts):
                if story.weight == 0:
                    continue
                pair, after = (place(act.prefix), act.token), story.after[t]
                one = 1 if visits[1][pair] < visits[0][pair] else 0
                aim = act.reward
                if after:
                    row = both[one][place(after)]
                    aim += 0.9 * both[1 - one][place(after)][row.index(max(row))]
                errors[i, t] = aim - both[one][pair[0]][pair[1]]
                both[one][pair[0]][pair[1]] += story.weight * 0.5 / (visits[one][pair] + 1) ** 0.6 * errors[i, t]
                visits[one][pair] += 1
                shown[pair[0]][pair[1]] = (both[0][pair[0]][pair[1]] + both[1][pair[0]][pair[1]]) / 2
        yield expected_after(shown, some, errors)


def check_double_q_updates() -> Gap:
    """Double Q: a slow reference, two updates on parts of edge-case episodes."""
    return compare(DoubleQ.Config(**RATES), slow_double(stories(parts())), "a rate that decays")
