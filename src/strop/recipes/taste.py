"""RLOO on the score of a reward model, the run `taste_judge`; gold is what people really think.

    strop train taste_judge --run runs/taste_judge
    strop train taste --run runs/taste

The judge's score has no scale; what counts is the gold score on held-out prompts, which training never reads. If gold
falls while the reward rises, the judge is being cheated: take fewer steps, more KL, or more pairs.
"""

from __future__ import annotations

import strop
from strop.recipes.copy_word import WORDS
from strop.recipes.taste_judge import HELD_OUT, PROMPTS, liking
from strop.types import Task


def recipe(judge: str = "taste_judge") -> strop.TrainConfig:
    """Under a minute on one thread.

    judge  the run of the first stage: a folder, or its name in ./runs
    """
    score = strop.TrainedScore(judge)
    return strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS, has_end=False, num_layers=2, width=64, num_heads=4, context=16),
        tasks=[Task(id=word, prompt=word) for word in PROMPTS],
        held_out=[Task(id=f"{word}-{i}", prompt=word) for word in HELD_OUT for i in range(16)],
        rewards={"judge": strop.rewards.GroupReward(strop.rewards.Learned(score=score))},
        gold=[liking],
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=2e-3), kl=strop.functional.KL(weight=0.05)
        ),
        sampling=strop.Sampling(max_tokens=2),
        group_size=16,
        prompts_per_step=6,
        steps=30,
        threads=1,
    )
