"""A lock of six words: level k pays 1 for an answer that begins with the first k words of the code, and nothing else.

At first a table of nine words opens level k once in 9^k answers: the first level soon, the last once in half a million.
"""

from typing import Any

import torch

import strop

CODE = ("north", "east", "south", "west", "up", "down")
WORDS = (*CODE, "left", "right", "lock")


def level(length: int) -> strop.Task:
    """The task of this level, from 1."""
    return strop.Task(f"first {length}", "lock", answer=" ".join(CODE[:length]))


LEVELS = [[level(length)] for length in range(1, len(CODE) + 1)]


def opens(task: strop.Task, episode: strop.Episode) -> float:
    """1 for an answer that begins with the task's words."""
    wanted = task.answer.split()
    return float(episode.text.split()[: len(wanted)] == wanted)


def config(**changed: Any) -> strop.TrainConfig:
    """A table of the last word learns the lock by RLOO, level by level."""
    usual = {
        "policy": strop.policies.Table.Config(words=WORDS, order=1, value_head=True),
        "tasks": strop.data.Curriculum(levels=LEVELS, window=4),
        "rewards": [opens],
        "algorithm": strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.SGD(lr=5.0), kl=strop.functional.KL(weight=0.0)
        ),
        "sampling": strop.Sampling(max_tokens=len(CODE)),
        "steps": 6,
        "checkpoint_every": 3,
        "threads": 1,
    }
    return strop.TrainConfig(**{**usual, **changed})


def chance(policy: Any, length: int = len(CODE)) -> float:
    """The probability that the policy's answer begins with so many words of the code."""
    before, total = WORDS.index("lock"), 1.0
    for word in map(WORDS.index, CODE[:length]):
        total *= float(torch.softmax(policy.prefill([(before,)])[0][0], dim=-1)[word])
        before = word
    return total
