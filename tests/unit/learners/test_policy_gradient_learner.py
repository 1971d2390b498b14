"""Rows without a signal are read and not back-propagated, and nothing else changes by it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, flat, turn
from exact.learners import ON_POLICY, as_baseline, every, learner
from strop.algorithms.dapo import DAPO
from strop.algorithms.dqn import DQN
from strop.algorithms.grpo import GRPO
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.learners.policy_gradient import PolicyGradient
from strop.policies.table import Table
from strop.types import Batch, Metrics, Unscored

SCORED = [
    kind for kind in ON_POLICY if isinstance(learner(kind, Table(4, capacity=16, value_head=True)), PolicyGradient)
]


def batch(*groups: tuple[float | Unscored, ...]) -> Batch:
    """A group for each tuple of rewards; every answer differs, and the last one of a group was played greedily."""
    episodes = []
    for g, rewards in enumerate(groups):
        members = [
            episode(turn((g,), (1 + i % 3, i % 2), (-1.0, -1.5)), reward=reward, group=g, id=f"{g}-{i}")
            for i, reward in enumerate(rewards)
        ]
        episodes += [*members[:-1], as_baseline(members[-1])]
    return batch_of(*episodes)


def after(kind: Any, data: Batch, steps: int = 2) -> tuple[torch.Tensor, list[Metrics]]:
    """The parameters and metrics of several updates; the second one sees ratios and moments that have moved."""
    policy = Table(4, capacity=16, value_head=True)
    for g, token in itertools.product(range(3), range(4)):  # rows are numbered as they are first read
        policy.row((g,))
        policy.row((g, token))
    algorithm = learner(kind, policy, kl=KL(weight=0.0))
    metrics = [algorithm.update(data).metrics for _ in range(steps)]
    return flat(policy.parameters()), metrics


def whole(self: PolicyGradient, batch: Batch, signal_BT: torch.Tensor) -> Iterator[tuple[Batch, bool, list[int]]]:
    yield batch, True, list(range(len(batch.tokens_BT)))


@pytest.mark.parametrize("kind", every(SCORED))
def test_leaving_out_what_has_no_signal_changes_nothing(kind: Any, monkeypatch: Any) -> None:
    data = batch((1.0, 0.0, 1.0), (1.0, 1.0, 1.0), (0.0, Unscored("lost"), 0.0))
    moved, metrics = after(kind, data)
    monkeypatch.setattr(PolicyGradient, "_by_signal", whole)
    expected, expected_metrics = after(kind, data)
    assert torch.allclose(moved, expected, rtol=0, atol=1e-13)
    for got, wanted in zip(metrics, expected_metrics, strict=True):
        assert got.keys() == wanted.keys()
        for name in wanted:
            assert got[name].value == pytest.approx(wanted[name].value, rel=1e-12, abs=1e-14), name


def rows_that_teach(data: Batch, monkeypatch: Any, **config: Any) -> list[int]:
    """How many rows each forward pass with a gradient reads in one update of GRPO."""
    seen = []
    heads = Table.heads

    def spy(self: Table, batch: Batch, *args: Any) -> Any:
        if torch.is_grad_enabled():
            seen.append(len(batch.tokens_BT))
        return heads(self, batch, *args)

    monkeypatch.setattr(Table, "heads", spy)
    learner(GRPO, Table(4, capacity=16), **config).update(data)
    return seen


@pytest.mark.parametrize(
    ("groups", "config", "expected"),
    [
        ([(1.0, 0.0), (1.0, 1.0)], {"kl": KL(weight=0.0)}, [2]),
        ([(1.0, 0.0), (1.0, 0.0)], {"kl": KL(weight=0.0)}, [4]),
        ([(1.0, 1.0), (0.0, 0.0)], {"kl": KL(weight=0.0)}, [4]),  # momentum goes on: gradients of 0, not none
        ([(1.0, 0.0), (1.0, 1.0)], {"kl": KL(weight=0.1, placement="loss", estimator="full")}, [4]),
        ([(1.0, 0.0), (1.0, 1.0)], {"kl": KL(weight=0.0, placement="loss", estimator="full")}, [2]),
        ([(1.0, 0.0), (1.0, 1.0)], {"kl": KL(weight=0.0, estimator="full")}, [2]),
        ([(1.0, 0.0), (1.0, 1.0)], {"kl": KL(weight=0.1)}, [2]),  # every answer pays the same for its KL
        ([(1.0, 0.0), (1.0, 1.0)], {"kl": KL(weight=0.0), "entropy": 0.01}, [4]),
    ],
    ids=[
        "one group",
        "both teach",
        "none teaches",
        "kl in the loss",
        "no kl",
        "no reward kl",
        "kl in the reward",
        "entropy",
    ],
)
def test_only_rows_with_a_signal_have_a_gradient(groups: Any, config: Any, expected: Any, monkeypatch: Any) -> None:
    assert rows_that_teach(batch(*groups), monkeypatch, **config) == expected


def test_samples_of_another_engine_are_corrected_unless_the_config_says_how() -> None:
    assert GRPO.Config(epochs=3).corrected() == GRPO.Config(epochs=3, correction=Correction())
    assert DAPO.Config(epochs=3).corrected() == DAPO.Config(epochs=3, correction=Correction())
    for kind in GRPO, DAPO:
        chosen = kind.Config(correction=Correction(level="sequence", kind="mask"))
        assert chosen.corrected() == chosen
    assert DQN.Config().corrected() is None


@pytest.mark.parametrize("micro_tokens", [4096, 6])
@pytest.mark.parametrize("kind", ["truncate", "mask"])
def test_a_token_is_weighed_on_the_way_as_it_would_be_beforehand(
    kind: Any, micro_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`max_staleness` wants the whole batch first; where all versions are the same it weighs nothing.

    Answers are of different lengths, and one that is not scored has no log-probs.
    """
    rewards = (1.0, 0.0, 1.0), (1.0, 1.0, 1.0), (0.0, Unscored("lost"), 1.0)
    data = batch_of(
        *(
            episode(
                turn((g,), (1, 2, 3)[: i + 1], ((-1.0, -1.5, -0.5)[: i + 1])), reward=reward, group=g, id=f"{g}-{i}"
            )
            for g, group in enumerate(rewards)
            for i, reward in enumerate(group)
        )
    )
    data.logprobs_BT[data.episode_B == 7] = math.nan
    passes: list[int] = []
    heads = Table.heads

    def counted(table: Table, micro: Batch, *args: Any) -> Any:
        passes[-1] += 1
        return heads(table, micro, *args)

    monkeypatch.setattr(Table, "heads", counted)
    found = []
    for max_staleness in None, 9:
        passes.append(0)
        policy, floor = Table(4, capacity=16), 0.5 if kind == "mask" else 0.0
        for g, length in itertools.product(range(3), range(3)):  # rows are numbered as they are first read
            policy.row((g, 1, 2)[: 1 + length])
        correction = Correction(kind=kind, cap=1.2, floor=floor, max_staleness=max_staleness)
        algorithm = learner(GRPO, policy, micro_tokens=micro_tokens, kl=KL(weight=0.0), correction=correction)
        found.append((algorithm.update(data).metrics, flat(policy.parameters())))
    (metrics, moved), (wanted, expected) = found
    assert passes[0] < passes[1]
    assert moved.abs().max() > 0
    assert torch.allclose(moved, expected, rtol=0, atol=1e-13)
    assert metrics.keys() == wanted.keys()
    assert 0.5 < metrics["correction/ess"].value < 1.0
    for name in wanted:
        assert metrics[name].value == pytest.approx(wanted[name].value, rel=1e-12, abs=1e-14), name


def test_an_episodes_weight_is_that_of_all_its_rows_wherever_they_are_cut() -> None:
    """A second prompt that does not continue the first is a row of its own, and may stand in another micro-batch."""
    data = batch_of(
        *(
            episode(turn((g,), (1, 2), (-1.0, -1.5)), turn((3,), (g,), (-0.7,)), reward=reward, group=0, id=str(g))
            for g, reward in enumerate((1.0, 0.0))
        )
    )
    assert len(data.tokens_BT) == 4
    found = []
    for micro_tokens in 4096, 1:
        policy, correction = Table(4, capacity=16), Correction(level="sequence", cap=10.0)
        learner(GRPO, policy, micro_tokens=micro_tokens, kl=KL(weight=0.0), correction=correction).update(data)
        found.append(flat(policy.parameters()))
    assert found[0].abs().max() > 0
    assert torch.allclose(*found, rtol=0, atol=1e-13)
