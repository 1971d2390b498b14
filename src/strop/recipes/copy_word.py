"""Say the word that you read: a tiny transformer from scratch learns to copy by trial and error alone."""

from __future__ import annotations

import strop
from strop.types import Episode, Task

WORDS = ("apple", "bread", "chair", "dance", "eagle", "flame", "grape", "house")


def copied(task: Task, episode: Episode) -> float:
    """1 for the word, else 0."""
    return float(episode.text.split() == [task.answer])


def recipe() -> strop.TrainConfig:
    """Under a minute. The words are the whole vocabulary, and an answer is one of them; so the same ones are judged."""
    return strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS, has_end=False, num_layers=2, width=64, num_heads=4, context=16),
        tasks=[Task(id=word, prompt=word, answer=word) for word in WORDS],
        held_out=[Task(id=f"{word}-judged", prompt=word, answer=word) for word in WORDS],
        rewards=[copied],
        algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=3e-3)),
        sampling=strop.Sampling(max_tokens=1),
        group_size=16,
        prompts_per_step=8,
        steps=60,
        eval_every=20,
    )
