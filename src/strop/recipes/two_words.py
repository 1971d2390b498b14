"""Two contexts, two words: the smallest language model, learnt by tabular Q-learning to its exact values.

In either context the word "good" pays 1 and "great" pays 2, and the conversation goes on for ever: the reply to a word
is a context. So Q*(great) = 2 / (1 - discount) and Q*(good) = 1 + discount * Q*(great): 20 and 19 at discount 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import strop
from strop.types import End, Prompt, Step, Task

CONTEXTS = ("morning", "evening")
PAY = {"good": 1.0, "great": 2.0}


@dataclass(slots=True)
class SmallTalk:
    """Says a context, pays for the word, and says a random context; after `turns` words time is up, not the talk."""

    task: Task
    rng: np.random.Generator
    turns: int = 8

    def start(self) -> Prompt:
        """The task's context."""
        return self.task.prompt

    def step(self, text: str) -> Step:
        """Pay for the word; a word that is a context itself pays nothing."""
        self.turns -= 1
        reply = CONTEXTS[int(self.rng.integers(len(CONTEXTS)))]
        return Step(reply, PAY.get(text, 0.0), End.TRUNCATED if self.turns == 0 else None)

    def close(self) -> None:
        """There is nothing to close."""


def recipe() -> strop.TrainConfig:
    """Finishes in seconds; `strop show` prints what was learnt."""
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=[*PAY, *CONTEXTS], order=1),
        tasks=[Task(id=context, prompt=context) for context in CONTEXTS],
        held_out=[Task(id=f"{context}-held-out", prompt=context) for context in CONTEXTS],
        environment=SmallTalk,
        algorithm=strop.algorithms.QLearning.Config(rate=0.5, discount=0.9),
        sampling=strop.Sampling(temperature=0.0, epsilon=0.3, max_tokens=1),
        group_size=4,
        prompts_per_step=2,
        steps=60,
    )
