"""Tabular Q-learning through the rollout, against known values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from strop.algorithms.q_learning import QLearning
from strop.batch import collate
from strop.codec import WordCodec
from strop.environments.guess_word import GuessWord
from strop.policies.table import Table
from strop.rollout.play import Scene, play
from strop.samplers.scripted import ScriptedSampler
from strop.types import Algorithm, End, Environment, Episode, Pick, Sampling, Step, Task
from strop.verify.checks import Gap

History = tuple[tuple[str, str], ...]
WORDS = ("ant", "bee", "cat")
ONE_WORD = Sampling(max_tokens=1)


class TwoWords:
    """Two contexts; two words pay 1 and 2. The contexts alternate; an episode is truncated, never terminated.

    `task.prompt` is the first context, `task.data["turns"]` the number of turns.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.context, self.left = str(task.prompt), int(task.data["turns"])

    def start(self) -> str:
        return self.context

    def step(self, text: str) -> Step:
        self.left -= 1
        self.context = {"x": "y", "y": "x"}[self.context]
        return Step(self.context, {"one": 1.0, "two": 2.0}[text], None if self.left else End.TRUNCATED)

    def close(self) -> None:
        """Nothing to close."""


def value(policy: Table, codec: WordCodec, context: str, word: str) -> float:
    """Q(context, word) in the table."""
    return float(policy.weight[policy.row(codec.encode(context)), codec.encode(word)[0]].item())


def check_q_learning_two_words() -> Iterator[Gap]:
    """Q-learning: r + discount * 2 / (1 - discount) in two contexts, bootstrapping at truncation."""
    # V = 2 / (1 - discount) whatever follows: 20 at .9, 2 at 0
    for discount, expected in ((0.9, {"one": 19.0, "two": 20.0}), (0.0, {"one": 1.0, "two": 2.0})):
        policy, codec = Table.Config(words=["one", "two", "x", "y"], order=1).build(0)
        algorithm = QLearning.Config(rate=1.0, discount=discount).build(policy, ONE_WORD, 4096)
        tasks = [Task(context, context, data={"turns": 2}) for context in ("x", "y")]
        for sweep in range(250 if discount else 1):
            for word in ("two", "one"):
                _learn(algorithm, policy, _played(TwoWords, tasks, codec, {0: word, 1: "two"}, sweep))
        gap = max(abs(value(policy, codec, c, word) - q) for c in ("x", "y") for word, q in expected.items())
        yield Gap(gap, 1e-6, f"({expected['one']:g}, {expected['two']:g}) at discount {discount:g}")


def check_q_learning_backward_induction() -> Gap:
    """Q-learning: backward induction over all histories of guessing one of three words in two turns."""
    # every (hidden word, first guess, second guess) once: at rate 1 / n a table holds plain averages, which are exact
    # if last turns are learnt first
    policy, codec = Table.Config(words=[*WORDS, "guess", "before", "after"]).build(0)
    algorithm = QLearning.Config(rate=1.0, rate_decay=1.0, discount=1.0).build(policy, ONE_WORD, 4096)
    tasks = [Task(word, "guess", answer=word, data={"words": list(WORDS), "turns": 2}) for word in WORDS]
    episodes = [
        one
        for first, second in product(WORDS, WORDS)
        for one in _played(GuessWord, tasks, codec, {0: first, 2: second}, 0)
    ]
    last = tuple(Pick(one, 1) for one in episodes if len(one.turns) == 2)
    for draw in (last, tuple(Pick(one, 0) for one in episodes)):
        algorithm.update(collate(draw, policy.layout))
    gaps = [
        abs(value(policy, codec, " ".join(["guess", *(f"{guess} {reply}" for guess, reply in history)]), word) - q)
        for history, values in guess_optimum(list(WORDS), 2).items()
        for word, q in values.items()
    ]
    return Gap(max(gaps), 1e-12)


def guess_optimum(words: list[str], turns: int) -> dict[History, dict[str, float]]:
    """Q* of every history by backward induction over the words that are still possible."""
    table: dict[History, dict[str, float]] = {}

    def solve(history: History, possible: list[str]) -> float:
        if len(history) == turns:
            return 0.0
        values = {}
        for guess in words:
            total = 1.0 if guess in possible else 0.0
            for reply in ("before", "after"):
                left = [w for w in possible if w != guess and (w < guess) == (reply == "before")]
                if left:
                    total += len(left) * solve((*history, (guess, reply)), left)
            values[guess] = total / len(possible)
        table[history] = values
        return max(values.values())

    solve((), words)
    return table


def _played(
    environment: Environment, tasks: list[Task], codec: WordCodec, says: dict[int, str], step: int
) -> list[Episode]:
    """One episode a task; `says` names the word by how many words follow the first one of the prompt."""
    sampler = ScriptedSampler(codec, lambda prompt: says[min(len(prompt.split()) - 1, max(says))])
    scene = Scene(environment=environment, rewards={}, codec=codec, context=None, seed=0)
    return play(scene, tasks, 1, sampler, ONE_WORD, "verify", step)


def _learn(algorithm: Algorithm, policy: Table, episodes: list[Episode]) -> None:
    algorithm.update(collate(tuple(Pick(one) for one in episodes), policy.layout))
