"""Every environment of the folder obeys the protocol, and its own examples."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import numpy as np
import pytest

import strop.environments
from strop.codec import ByteCodec
from strop.rollout.play import Scene, play
from strop.samplers.scripted import ScriptedSampler
from strop.types import End, Sampling, Step, Task

ADAPTERS = ("gymnasium", "against", "textarena", "apart")
"""They have no tasks of their own; tests/unit/environments tries them."""
MODULES = [
    importlib.import_module(f"strop.environments.{module.name}")
    for module in pkgutil.iter_modules(strop.environments.__path__)
    if not module.name.startswith("_") and module.name not in ADAPTERS
]


def environment(module: Any) -> Any:
    """The module's environment: the class that has a `step`."""
    (found,) = [
        kind for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and hasattr(kind, "step")
    ]  # fmt: skip
    return found


class Rooms:
    """A corridor that is read room by room: each replaces the one before."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.room, self.turns_left = 1, 9

    def start(self) -> str:
        return "room 1"

    def step(self, text: str) -> Step:
        self.room, self.turns_left = self.room + (text == "right"), self.turns_left - 1
        if self.room == 4:
            return Step("", reward=1.0, end=End.TERMINATED)
        return Step(f"room {self.room}", end=None if self.turns_left else End.TRUNCATED, replaces=True)

    def close(self) -> None:
        pass


EXAMPLES = [
    *(
        pytest.param(environment(module), *example, id=f"{module.__name__.split('.')[-1]}-{i}")
        for module in MODULES
        for i, example in enumerate(module.examples())
    ),
    pytest.param(Rooms, Task("1", ""), ["right"] * 3, 1.0, id="rooms"),
]


def walk(kind: Any, task: Task, texts: list[str], seed: int = 0) -> tuple[str, list[Step]]:
    env = kind(task, np.random.default_rng(seed))
    start, steps = env.start(), []
    for text in texts:
        steps.append(env.step(text))
        if steps[-1].end is not None:
            break
    env.close()
    return start, steps


@pytest.mark.parametrize(("kind", "task", "texts", "best"), EXAMPLES)
def test_the_perfect_player_ends_with_the_best_return(kind: Any, task: Task, texts: list[str], best: float) -> None:
    start, steps = walk(kind, task, texts)
    assert start
    assert len(steps) == len(texts)
    assert [step.end for step in steps[:-1]] == [None] * (len(steps) - 1)
    assert steps[-1].end is End.TERMINATED
    assert sum(step.reward for step in steps) == pytest.approx(best)
    assert all(step.text for step in steps[:-1])


@pytest.mark.parametrize(("kind", "task", "texts", "best"), EXAMPLES)
def test_a_wrong_answer_never_raises_and_pays_less(kind: Any, task: Task, texts: list[str], best: float) -> None:
    for wrong in ("", "zzz", "\n", "<end>", "²\x00"):
        _, steps = walk(kind, task, [wrong] * 50)
        assert steps[-1].end in (End.TERMINATED, End.TRUNCATED)
        total = sum(step.reward for step in steps)
        assert total < best or best == 0.0


@pytest.mark.parametrize(("kind", "task", "texts", "best"), EXAMPLES)
def test_the_same_seed_plays_the_same_game(kind: Any, task: Task, texts: list[str], best: float) -> None:
    assert walk(kind, task, texts, seed=5) == walk(kind, task, texts, seed=5)


@pytest.mark.parametrize(("kind", "task", "texts", "best"), EXAMPLES)
def test_the_rollout_plays_it(kind: Any, task: Task, texts: list[str], best: float) -> None:
    codec, lines = ByteCodec(), iter(texts)
    scene = Scene(environment=kind, rewards={}, codec=codec, context=None, seed=0)
    sampler = ScriptedSampler(codec, lambda prompt: next(lines))
    (one,) = play(scene, [task], 1, sampler, Sampling(max_tokens=128), "train", 0)
    assert one.end is End.TERMINATED, one.error
    assert one.reward == pytest.approx(best)
    assert [turn.text for turn in one.turns] == texts
    _, steps = walk(kind, task, texts)
    for before, step, after in zip(one.turns, steps, one.turns[1:], strict=False):
        stood = before.prompt + before.completion.tokens
        assert after.prompt == codec.start(step.text) if step.replaces else after.prompt[: len(stood)] == stood
