"""Balance a pole on a cart by DQN: double targets, prioritised replay, and decaying epsilon."""

from __future__ import annotations

from dataclasses import replace

import strop
from strop.recipes.cartpole import balance


def recipe() -> strop.TrainConfig:
    """About two minutes on one thread. One episode a step; each is followed by 32 updates of 64 turns."""
    plain = balance(
        strop.algorithms.DQN.Config(optimizer=strop.optimizer.AdamW(lr=1e-3), target_every=200, n_step=3), steps=80
    )
    return replace(
        plain,
        sampling=strop.Sampling(
            temperature=0.0, epsilon=strop.schedules.Linear(start=1.0, end=0.02, steps=60), max_tokens=1
        ),
        memory=strop.memory.Prioritised.Config(capacity=10_000, size=64, num_draws=32, n_step=3, warmup=200),
        group_size=1,
    )
