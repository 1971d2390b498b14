"""Value-based algorithms learn known optima from samples: text probes for the critic, games, and answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.text_worlds import DISCOUNT, LENGTH, Tasks, corridor_optimum
from strop.algorithms.double_q import DoubleQ
from strop.algorithms.dqn import DQN
from strop.algorithms.expected_sarsa import ExpectedSARSA
from strop.algorithms.ilql import ILQL
from strop.algorithms.path_consistency import PathConsistency
from strop.algorithms.q_learning import QLearning
from strop.algorithms.sarsa import SARSA
from strop.batch import collate
from strop.environments.corridor import Corridor
from strop.environments.single_turn import SingleTurn
from strop.memory import Fresh, Prioritised, Replay
from strop.optimizer import SGD, AdamW
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.rollout import EmbeddedEngine, Scene
from strop.samplers.local import LocalSampler
from strop.schedules import Linear
from strop.types import End, Pick, Sampling, Step, Task

pytestmark = pytest.mark.learning
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
WORDS = ["a", "b", "x", "y"]
EXPLORE = Sampling(epsilon=1.0, max_tokens=1)


@dataclass(slots=True)
class Probe:
    """Probe environments (Andy Jones): what a critic must learn, each adding one thing to the one before.

    1 always pays 1; 2 pays +1 in context x and -1 in y; 3 shows x, then y, and pays 1 at the end; 4 pays 1 for the
    word a and -1 for others; 5 pays 1 for a in x and for b in y, else -1.
    """

    task: Task
    rng: np.random.Generator
    left: int = 1

    def start(self) -> str:
        number = self.task.data["probe"]
        self.left = 2 if number == 3 else 1
        return "x" if number in (1, 3, 4) else str(self.task.prompt)

    def step(self, text: str) -> Step:
        self.left -= 1
        if self.left:
            return Step("y")
        in_x, number = self.task.prompt == "x", self.task.data["probe"]
        right = text == ("a" if in_x or number == 4 else "b")
        pay = {1: 1.0, 2: 1.0 if in_x else -1.0, 3: 1.0}.get(number, 1.0 if right else -1.0)
        return Step("", pay, End.TERMINATED)

    def close(self) -> None:
        pass


# the value of each context and word under the best policy, discount .5
PROBES: list[tuple[int, dict[str, dict[str, float]]]] = [
    (1, {"x": dict.fromkeys(WORDS, 1.0)}),
    (2, {"x": dict.fromkeys(WORDS, 1.0), "y": dict.fromkeys(WORDS, -1.0)}),
    (3, {"x": dict.fromkeys(WORDS, 0.5)}),
    (4, {"x": {"a": 1.0, "b": -1.0, "x": -1.0, "y": -1.0}}),
    (5, {"x": {"a": 1.0, "b": -1.0}, "y": {"a": -1.0, "b": 1.0}}),
]


def play(
    algorithm: Any, policy: Any, codec: Any, memory: Any, environment: Any, tasks: list[Task], steps: int, seed: int,
    sampling: Sampling = EXPLORE, group: int = 8, rewards: Any = None,
) -> None:  # fmt: skip
    """The loop of a run, without its directory."""
    scene = Scene(environment=environment, rewards=rewards or {}, codec=codec, context=policy.context, seed=seed)
    engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), sampling, group, len(tasks))
    rng = np.random.default_rng(seed)
    for step in range(steps):
        memory.add(engine.rollout(Tasks(tasks), step))
        for draw in memory.draws(rng):
            memory.feedback(draw, algorithm.update(collate(draw, policy.layout)).priority_K)


def small(kind: str, seed: int, words: list[str], value_head: bool = False) -> tuple[Any, Any]:
    if kind == "table":
        return Table.Config(words=words, order=1, value_head=value_head).build(seed)
    config = Scratch(words=words, has_end=False, num_layers=1, width=32, num_heads=2, value_head=value_head)
    return config.build(seed, "float32")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["table", "scratch"])
@pytest.mark.parametrize(("number", "expected"), PROBES)
def test_dqn_passes_the_probes(number: int, expected: dict[str, dict[str, float]], kind: str, seed: int) -> None:
    policy, codec = small(kind, seed, WORDS, value_head=True)
    tasks = [Task(prompt, prompt, data={"probe": number}) for prompt in ("x", "y")]
    config = DQN.Config(
        optimizer=AdamW(lr=0.1 if kind == "table" else 1e-2),
        discount=0.5,
        target_every=5,
        huber=None,
        dueling=seed == 1,
    )
    algorithm = config.build(policy, EXPLORE, 4096)
    memory = Replay.Config(size=64, num_draws=3).build()
    play(algorithm, policy, codec, memory, Probe, tasks, 40, seed)
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


ROOMS = [f"room{i}" for i in range(LENGTH)]
CORRIDOR = [Task(str(i), "", data={"room": i, "length": LENGTH, "turns": 3}) for i in range(LENGTH - 1)]


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
    play(algorithm, policy, codec, memory.build(), Corridor, CORRIDOR, 30, seed)
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
    play(
        config.build(policy, sampling, 4096), policy, codec, memory, SingleTurn, tasks, 30, seed, sampling,
        rewards={"right": (right, 1.0)},
    )  # fmt: skip
    for prompt, answer in ANSWERS.items():
        logits_V = policy.prefill([codec.start(prompt)])[0][0].double()
        assert codec.words[int(logits_V.argmax())] == answer
        if isinstance(config, PathConsistency.Config):
            # pi*(right) = e^(1 / beta) / (e^(1 / beta) + sum of the others) from a start that is near uniform
            assert torch.softmax(logits_V, -1).max().item() > 0.95


@dataclass(slots=True)
class Temptation:
    """Maximisation bias (Sutton & Barto, example 6.7): "left" leads to words that pay N(-.1, 1), others end with 0."""

    task: Task
    rng: np.random.Generator
    tempted: bool = False

    def start(self) -> str:
        return "x"

    def step(self, text: str) -> Step:
        if self.tempted:
            return Step("", float(self.rng.normal(-0.1, 1.0)), End.TERMINATED)
        self.tempted = text == "left"
        return Step("y") if self.tempted else Step("", 0.0, End.TERMINATED)

    def close(self) -> None:
        pass


def share_of_left(kind: Any, seed: int) -> float:
    """How often the first word is "left" in the first 300 episodes of 4 learners, epsilon .1 and rate .1."""
    words, count = ["left", "right", *"abcdefgh", "x", "y"], 0
    law = Sampling(temperature=0.0, epsilon=0.1, max_tokens=1)
    for learner in range(4):
        policy, codec = Table.Config(words=words, order=1).build(0)
        algorithm = kind.Config(rate=0.1, discount=1.0).build(policy, law, 4096)
        scene = Scene(environment=Temptation, rewards={}, codec=codec, context=None, seed=100 * seed + learner)
        engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), law, 4, 1)
        for step in range(75):
            episodes = engine.rollout(Tasks([Task("0", "")]), step)
            count += sum(one.turns[0].text == "left" for one in episodes)
            algorithm.update(collate(tuple(Pick(one) for one in episodes), policy.layout))
    return count / (4 * 300)


@pytest.mark.parametrize("seed", SEEDS)
def test_double_q_is_tempted_less_than_q_learning(seed: int) -> None:
    single, double = share_of_left(QLearning, seed), share_of_left(DoubleQ, seed)
    assert double < 0.5 * single


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [SARSA, ExpectedSARSA, DoubleQ, QLearning])
def test_tabular_methods_walk_to_the_end_of_the_corridor(kind: Any, seed: int) -> None:
    policy, codec = small("table", seed, ["left", "right", *ROOMS])
    law = Sampling(temperature=0.0, epsilon=Linear(start=1.0, end=0.1, steps=15), max_tokens=1)
    algorithm = kind.Config(rate=0.3, discount=DISCOUNT).build(policy, law, 4096)
    play(algorithm, policy, codec, Fresh(), Corridor, CORRIDOR, 25, seed, law)
    for room in range(LENGTH - 1):
        row = policy.weight[policy.row(codec.encode(f"room{room}"))]
        assert codec.words[int(row.argmax())] == "right"
