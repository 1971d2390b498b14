"""A reward model, trained on preferences: the first of two stages, before `taste`.

    strop train taste_judge --run runs/taste_judge
    strop train taste --run runs/taste

People (here: a rule that neither stage may read) like an answer of two words that names food, and not the same food
twice. They compare two answers and choose the better one. A small transformer with a value head learns a
score that agrees with them.
"""

from __future__ import annotations

import strop
from strop.recipes.copy_word import WORDS
from strop.streams import stream
from strop.types import Episode, Task

FOOD = ("apple", "bread", "grape")
PROMPTS, HELD_OUT = WORDS[:6], WORDS[6:]
"""The words that an answer may follow; neither stage ever sees the held-out ones as a prompt."""


def liking(task: Task, episode: Episode) -> float:
    """What people really think of an answer, as a gold score."""
    return liked(episode.text)


def liked(text: str) -> float:
    """1/2 for every food, less 1/2 where one word is said twice: 1 for two foods, -1/2 at worst."""
    first, second = text.split()
    return ((first in FOOD) + (second in FOOD) - (first == second)) / 2


def pairs(num: int, seed: int = 0) -> list[Task]:
    """Two random answers each, which people like differently."""
    rng, tasks = stream(seed, "preferences"), list[Task]()
    while len(tasks) < num:
        prompt = PROMPTS[int(rng.integers(len(PROMPTS)))]
        answers = [" ".join(WORDS[int(i)] for i in rng.integers(len(WORDS), size=2)) for _ in range(2)]
        worse, better = sorted(answers, key=liked)
        if liked(worse) < liked(better):
            tasks.append(Task(f"pair-{len(tasks)}", prompt, data={"chosen": better, "rejected": worse}))
    return tasks


def recipe() -> strop.TrainConfig:
    """Under a minute on one thread; `strop show` tells how often the judge agrees with people."""
    return strop.TrainConfig(
        policy=strop.policies.Scratch(
            words=WORDS, has_end=False, num_layers=2, width=64, num_heads=4, context=16, value_head=True
        ),
        tasks=pairs(500),
        algorithm=strop.algorithms.RewardModel.Config(optimizer=strop.optimizer.AdamW(lr=2e-3)),
        memory=strop.memory.Dataset.Config(size=64),
        steps=60,
        threads=1,
    )
