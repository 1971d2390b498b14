"""Small text environments whose values are known exactly, and the loop that learns in them from samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from strop.batch import collate
from strop.environments.corridor import Corridor
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene
from strop.samplers.local import LocalSampler
from strop.types import Batch, End, Episode, Memory, Sampling, State, Step, Task
from strop.verify.episodes import batch_of, episode, turn

EXPLORE = Sampling(epsilon=1.0, max_tokens=1)


class Tasks:
    """The same tasks, round and round."""

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks

    def next(self, n: int) -> list[Task]:
        return [self.tasks[i % len(self.tasks)] for i in range(n)]

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Outcomes change nothing."""

    def measures(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """Never resumed."""


def learn(
    algorithm: Any,
    policy: Any,
    codec: Any,
    memory: Memory,
    environment: Any,
    tasks: list[Task],
    steps: int,
    seed: int,
    sampling: Sampling = EXPLORE,
    group: int = 8,
    rewards: Any = None,
) -> None:
    """The loop of a run, without its directory: play, remember, draw, update."""
    scene = Scene(environment=environment, rewards=rewards or {}, codec=codec, context=policy.context, seed=seed)
    engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), sampling, group, len(tasks))
    rng = np.random.default_rng(seed)
    for step in range(steps):
        memory.add(engine.rollout(Tasks(tasks), step))
        for draw in memory.draws(rng):
            memory.feedback(draw, algorithm.update(collate(draw, policy.layout)).priority_K)


# ------------------------------------------------------------ words that give reward

PAID = {"one": 1.0, "two": 2.0}
WORDS = [*PAID, "x", "y"]


class PaidWords:
    """Two contexts; two words pay 1 and 2. The next context is random; an episode is truncated, never terminated."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.rng, self.left = rng, 10

    def start(self) -> str:
        return self._context()

    def step(self, text: str) -> Step:
        self.left -= 1
        return Step(self._context(), PAID.get(text, 0.0), None if self.left else End.TRUNCATED)

    def close(self) -> None:
        """Nothing to close."""

    def _context(self) -> str:
        return ["x", "y"][self.rng.integers(2)]


# ------------------------------------------------------------ a corridor without end

LENGTH, DISCOUNT = 5, 0.9
ROOMS = [f"room{i}" for i in range(LENGTH)]
CORRIDOR = [Task(str(i), "", data={"room": i, "length": LENGTH, "turns": 3}) for i in range(LENGTH - 1)]
CorridorValues = dict[tuple[int, str], float]


def corridor_optimum() -> CorridorValues:
    """Q* of the endless corridor by value iteration."""
    value = [0.0] * LENGTH
    table: CorridorValues = {}
    for _ in range(1000):
        for room in range(LENGTH - 1):
            for word, to in (("right", room + 1), ("left", max(room - 1, 0))):
                table[room, word] = 1.0 if to == LENGTH - 1 else DISCOUNT * value[to]
            value[room] = max(table[room, "right"], table[room, "left"])
    return table


def corridor_transitions() -> Batch:
    """Every room and word once; "left" and "right" are 0 and 1, room r is token 2 + r of the environment."""
    walks = []
    for room in range(LENGTH - 1):
        for word, to in ((0, max(room - 1, 0)), (1, room + 1)):
            done = to == LENGTH - 1
            walks.append(
                episode(
                    turn((2 + room,), (word,), reward=float(done)),
                    end=End.TERMINATED if done else End.TRUNCATED,
                    final=() if done else (2 + to,),
                )
            )
    return batch_of(*walks, layout="per_turn")


def corridor_gap(policy: Any, expected: CorridorValues) -> float:
    """The largest distance of a table's row of a room from the values."""
    gaps = [
        policy.weight[policy.row((2 + room,)), ("left", "right").index(word)].item() - value
        for (room, word), value in expected.items()
    ]
    return float(max(map(abs, gaps)))


def walk(algorithm: Any, policy: Any, codec: Any, memory: Memory, steps: int, seed: int, sampling: Sampling) -> None:
    """Learn in the corridor, from every room."""
    learn(algorithm, policy, codec, memory, Corridor, CORRIDOR, steps, seed, sampling)


# ------------------------------------------------------------ probes

PROBE_WORDS = ["a", "b", "x", "y"]
PROBE_DISCOUNT = 0.5


@dataclass(slots=True)
class Probe:
    """Probe environments (Andy Jones) for critics, each adding one difficulty.

    Rewards: 1 always 1; 2 is +1 in context x and -1 in y; 3 shows x, then y, and gives 1 at the end; 4 gives 1 for the
    word a and -1 for others; 5 gives 1 for a in x and for b in y, else -1.
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
        """Nothing to close."""


PROBES: Sequence[tuple[int, dict[str, dict[str, float]]]] = [
    (1, {"x": dict.fromkeys(PROBE_WORDS, 1.0)}),
    (2, {"x": dict.fromkeys(PROBE_WORDS, 1.0), "y": dict.fromkeys(PROBE_WORDS, -1.0)}),
    (3, {"x": dict.fromkeys(PROBE_WORDS, 0.5)}),
    (4, {"x": {"a": 1.0, "b": -1.0, "x": -1.0, "y": -1.0}}),
    (5, {"x": {"a": 1.0, "b": -1.0}, "y": {"a": -1.0, "b": 1.0}}),
]
"""The value of each context and word under the best policy, at PROBE_DISCOUNT."""


def probe_tasks(number: int) -> list[Task]:
    """One task a context."""
    return [Task(prompt, prompt, data={"probe": number}) for prompt in ("x", "y")]
