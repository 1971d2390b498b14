"""Time of a step on Ray beside the embedded engine, at equal work on this machine; where the difference goes.

    python benchmarks/scale.py [--steps 6] [--width 256] [--threads 1]
    python benchmarks/scale.py --waiting    # 4 turns with half a second of waiting each: four replicas

One replica plays what the process itself would play, one group after the other or all of a step together, so both do
the same work and give the same bits. The ratio is of the medians of all steps but the first, which loads what the
others have.

With waiting the embedded engine waits for all episodes of a step together, and learns when they are over. With
staleness 1 each replica waits and writes for one group while the learner learns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import strop
from strop.types import End, Prompt, Step

WORDS = [f"word{number}" for number in range(64)]
PARTS = ("publish", "load", "play", "wait")
TURNS, WAIT_SECONDS = 4, 0.5


class Slow:
    """A tool that takes its time to reply, several times an episode."""

    def __init__(self, task: strop.Task, rng: np.random.Generator) -> None:
        self._word, self._turns = task.answer, 0

    def start(self) -> Prompt:
        """The word to say."""
        return self._word

    def step(self, text: str) -> Step:
        """The word again, after a while."""
        time.sleep(WAIT_SECONDS)
        self._turns += 1
        reward = text.split().count(self._word) / 16
        return Step(self._word, reward=reward, end=End.TERMINATED if self._turns == TURNS else None)

    def close(self) -> None:
        """Nothing to free."""


def short(task: strop.Task, episode: strop.Episode) -> float:
    """How often the answer is said."""
    return episode.text.split().count(task.answer) / 16


def config(engine: object, steps: int, width: int, threads: int) -> strop.TrainConfig:
    """A transformer from scratch that writes 64 tokens."""
    return strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS, num_layers=4, width=width, num_heads=4, context=128),
        tasks=[strop.Task(word, word, word) for word in WORDS],
        rewards=[short],
        algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=1e-4)),
        sampling=strop.Sampling(max_tokens=64),
        engine=engine,
        group_size=8,
        prompts_per_step=4,
        steps=steps,
        checkpoint_every=steps,
        threads=threads,
    )


def measured(engine: object, arguments: argparse.Namespace) -> dict[str, float]:
    """The median seconds of a step, and of its parts on Ray."""
    with tempfile.TemporaryDirectory() as folder:
        made = config(engine, arguments.steps, arguments.width, arguments.threads)
        if arguments.waiting:
            made = replace(made, environment=Slow, rewards=[], sampling=strop.Sampling(max_tokens=64 // TURNS))
        rows = [one for one in strop.train(made, Path(folder) / "run", progress=False).metrics() if one][1:]
    names = {"step": "time/step_seconds", **{part: f"engine/{part}_seconds" for part in PARTS}}
    return {
        part: statistics.median(one[name] for one in rows)
        for part, name in names.items()
        if all(name in one for one in rows)
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("steps", 6), ("width", 256), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--waiting", action="store_true", help="how much faster replicas are that wait while we learn")
    arguments = parser.parse_args()
    if arguments.waiting:
        show_waiting(arguments)
        return
    engines = {
        "embedded, a step as one batch": strop.scale.Embedded(),
        "embedded, group by group": strop.scale.Embedded(batch="group"),
        "Ray, one replica": strop.scale.Ray(replicas=1, start_seconds=600.0),
        "Ray, a step as one unit": strop.scale.Ray(replicas=1, groups=4, start_seconds=600.0),
    }
    found = {name: measured(engine, arguments) for name, engine in engines.items()}
    show(found)
    alone, ray = found["embedded, group by group"], found["Ray, one replica"]
    overhead = ray["wait"] - ray["play"] - ray["load"]
    whole = found["Ray, a step as one unit"]["step"] / found["embedded, a step as one batch"]["step"]
    print(
        f"ratio {ray['step'] / alone['step']:.2f}, in one unit {whole:.2f}; dispatch and fetch {overhead:.3f} s a step"
    )


def show(found: Mapping[str, Mapping[str, float]]) -> None:
    """A line for each engine: a step and its parts."""
    for name, parts in found.items():
        print(f"{name:32}" + "  ".join(f"{part} {seconds:.3f} s" for part, seconds in parts.items()))


def show_waiting(arguments: argparse.Namespace) -> None:
    """Print how much faster."""
    alone = measured(strop.scale.Embedded(), arguments)
    ray = measured(strop.scale.Ray(replicas=4, staleness=1, start_seconds=600.0), arguments)
    show({"embedded": alone, "Ray, four replicas, staleness 1": ray})
    print(f"{TURNS} times {WAIT_SECONDS:g} s of waiting an episode: {alone['step'] / ray['step']:.2f} times as fast")


if __name__ == "__main__":
    main()
