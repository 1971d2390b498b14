"""Hundreds of episodes with a slow tool at once: they wait together, and those that hang are given up."""

import threading
import time
from collections import Counter

import numpy as np
import pytest

from strop.codec import ByteCodec
from strop.rollout.play import Scene, play
from strop.rollout.waiting import hanging
from strop.samplers.scripted import ScriptedSampler
from strop.streams import stream
from strop.types import End, Sampling, Step, Task

EPISODES, TURNS = 512, 2
SECONDS, LIMIT = 1.0, 6.0
"""Of a tool, and of the run's patience."""


def fate(rng: np.random.Generator) -> tuple[str, int]:
    """What becomes of an episode, and in which turn: a hundredth hangs, a hundredth raises."""
    return ("hangs", "raises", "fine")[min(int(rng.random() * 100), 2)], int(rng.integers(TURNS))


class Slow:
    """A tool that takes its time."""

    released = threading.Event()

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.fate, self.turn = fate(rng), 0

    def start(self) -> str:
        return "go"

    def step(self, text: str) -> Step:
        time.sleep(SECONDS)
        if self.fate == ("hangs", self.turn):
            self.released.wait(60)
        if self.fate == ("raises", self.turn):
            raise ConnectionError("the tool is gone")
        self.turn += 1
        return Step("on", 1.0, End.TERMINATED if self.turn == TURNS else None)

    def close(self) -> None:
        pass


@pytest.mark.slow
def test_hundreds_of_slow_tools_are_waited_for_together():
    """A round takes as long as its slowest tool: the limit where one hangs. Ideal is no more than that."""
    fates = [fate(stream(0, "environment/train", 0, i)) for i in range(EPISODES)]
    expected = Counter(what for what, _ in fates)
    assert 0 < expected["hangs"] < 20
    assert 0 < expected["raises"] < 20
    rounds = {turn for what, turn in fates if what == "hangs"}
    ideal = sum(LIMIT if turn in rounds else SECONDS for turn in range(TURNS))
    codec = ByteCodec()
    scene = Scene(environment=Slow, rewards={}, codec=codec, context=None, seed=0, environment_seconds=LIMIT)
    before, began = hanging()["environment.step"], time.monotonic()
    tasks = [Task("t", "go")]
    episodes = play(scene, tasks, EPISODES, ScriptedSampler(codec, lambda prompt: "x"), Sampling(), "train", 0)
    seconds = time.monotonic() - began
    assert hanging()["environment.step"] - before == expected["hangs"]
    Slow.released.set()
    for (what, turn), one in zip(fates, episodes, strict=True):
        assert (one.end is End.FAILED) == (what != "fine")
        assert len(one.turns) == (TURNS if what == "fine" else turn + 1)
        assert ("took longer than 6 seconds" in one.error) == (what == "hangs")
        assert ("ConnectionError: the tool is gone" in one.error) == (what == "raises")
    print(f"{seconds:.2f} s, ideal {ideal:.2f} s")
    assert seconds <= 1.3 * ideal
