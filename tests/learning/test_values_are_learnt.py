"""Value-based algorithms learn known optima from samples: text probes for the critic, games, and answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.algorithms.double_q import DoubleQ
from strop.algorithms.dqn import DQN
from strop.algorithms.expected_sarsa import ExpectedSARSA
from strop.algorithms.ilql import ILQL
from strop.algorithms.path_consistency import PathConsistency
from strop.algorithms.q_learning import QLearning
from strop.algorithms.sarsa import SARSA
from strop.environments.corridor import Corridor
from strop.environments.single_turn import SingleTurn
from strop.memory import Fresh, Prioritised, Replay
from strop.optimizer import SGD, AdamW
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.schedules import Linear
from strop.types import Sampling, Task
from strop.verify.td import share_of_left
from strop.verify.worlds import (
    CORRIDOR,
    DISCOUNT,
    EXPLORE,
    LENGTH,
    PROBE_DISCOUNT,
    PROBE_WORDS,
    PROBES,
    ROOMS,
    Probe,
    corridor_optimum,
    learn,
    probe_tasks,
)

pytestmark = pytest.mark.learning
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]


def small(kind: str, seed: int, words: list[str], value_head: bool = False) -> tuple[Any, Any]:
    if kind == "table":
        return Table.Config(words=words, order=1, value_head=value_head).build(seed)
    config = Scratch(words=words, has_end=False, num_layers=1, width=32, num_heads=2, value_head=value_head)
    return config.build(seed, "float32")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["table", "scratch"])
@pytest.mark.parametrize(("number", "expected"), PROBES)
def test_dqn_passes_the_probes(number: int, expected: dict[str, dict[str, float]], kind: str, seed: int) -> None:
    policy, codec = small(kind, seed, PROBE_WORDS, value_head=True)
    config = DQN.Config(
        optimizer=AdamW(lr=0.1 if kind == "table" else 1e-2),
        discount=PROBE_DISCOUNT,
        target_every=5,
        huber=None,
        dueling=seed == 1,
    )
    algorithm = config.build(policy, EXPLORE, 4096)
    memory = Replay.Config(size=64, num_draws=3).build()
    learn(algorithm, policy, codec, memory, Probe, probe_tasks(number), 40, seed)
    for context, values in expected.items():
        tokens = codec.start(context)
        q_V = policy.prefill([tokens])[0][0].double()
        if config.dueling:
            q_V = q_V - q_V.mean() + value_at(policy, tokens)
        for word, value in values.items():
            assert q_V[codec.encode(word)[0]].item() == pytest.approx(value, abs=0.1)


def value_at(policy: Any, tokens: tuple[int, ...]) -> float:
    batch = batch_of(episode(turn(tokens, (0,))), layout=policy.layout)
    with torch.no_grad():
        return policy.heads(batch, lambda heads: {"v": heads.value_N}, frozenset({"value"}))["v"].sum().item()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("memory", [
    Replay.Config(size=64, num_draws=4),
    Prioritised.Config(size=64, num_draws=4, beta=Linear(start=0.4, end=1, steps=100)),
])  # fmt: skip
def test_dqn_finds_the_corridors_values_from_replay(memory: Any, seed: int) -> None:
    # nothing is random but the draws, so plain steps go all the way: 64 turns over 28 pairs, about .35 an update
    policy, codec = small("table", seed, ["left", "right", *ROOMS])
    config = DQN.Config(optimizer=SGD(lr=10.0), discount=DISCOUNT, target_every=4, huber=None)
    algorithm = config.build(policy, EXPLORE, 4096)
    learn(algorithm, policy, codec, memory.build(), Corridor, CORRIDOR, 30, seed)
    for room in range(LENGTH - 1):
        row = policy.weight[policy.row(codec.encode(f"room{room}"))].detach()
        assert codec.words[int(row.argmax())] == "right"
        for word in ("left", "right"):
            value = corridor_optimum()[room, word]
            assert row[codec.encode(word)[0]].item() == pytest.approx(value, abs=0.05)


ANSWERS = {"x": "red", "y": "blue"}
ANSWER_WORDS = ["x", "y", "red", "green", "blue"]


def right(task: Task, episode: Any) -> float:
    return float(episode.text == ANSWERS[task.id])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["table", "scratch"])
@pytest.mark.parametrize("algorithm", [
    DQN.Config(target_every=5), ILQL.Config(conservative=0.1, target_share=0.2),
    PathConsistency.Config(beta=0.1), PathConsistency.Config(beta=0.1, unified=False),
])  # fmt: skip
def test_they_learn_to_answer(algorithm: Any, kind: str, seed: int) -> None:
    policy, codec = small(kind, seed, ANSWER_WORDS, value_head=True)
    config = replace(algorithm, optimizer=AdamW(lr=0.1 if kind == "table" else 1e-2))
    tasks = [Task(prompt, prompt) for prompt in ANSWERS]
    memory = Replay.Config(size=32, num_draws=3).build()
    sampling = Sampling(temperature=0.0, epsilon=Linear(start=1.0, end=0.1, steps=20), max_tokens=1)
    learn(
        config.build(policy, sampling, 4096), policy, codec, memory, SingleTurn, tasks, 30, seed, sampling,
        rewards={"right": (right, 1.0)},
    )  # fmt: skip
    for prompt, answer in ANSWERS.items():
        logits_V = policy.prefill([codec.start(prompt)])[0][0].double()
        assert codec.words[int(logits_V.argmax())] == answer
        if isinstance(config, PathConsistency.Config):
            # pi*(right) = e^(1 / beta) / (e^(1 / beta) + sum of the others) from a start that is near uniform
            assert torch.softmax(logits_V, -1).max().item() > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_double_q_is_tempted_less_than_q_learning(seed: int) -> None:
    single, double = share_of_left(QLearning, seed), share_of_left(DoubleQ, seed)
    assert double < 0.5 * single


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [SARSA, ExpectedSARSA, DoubleQ, QLearning])
def test_tabular_methods_walk_to_the_end_of_the_corridor(kind: Any, seed: int) -> None:
    policy, codec = small("table", seed, ["left", "right", *ROOMS])
    sampling = Sampling(temperature=0.0, epsilon=Linear(start=1.0, end=0.1, steps=15), max_tokens=1)
    algorithm = kind.Config(rate=0.3, discount=DISCOUNT).build(policy, sampling, 4096)
    learn(algorithm, policy, codec, Fresh(), Corridor, CORRIDOR, 25, seed, sampling)
    for room in range(LENGTH - 1):
        row = policy.weight[policy.row(codec.encode(f"room{room}"))]
        assert codec.words[int(row.argmax())] == "right"
