"""Balance a pole on a cart by A2C, with one optimiser step for each batch."""

from __future__ import annotations

import strop
from strop.recipes.cartpole import balance


def recipe() -> strop.TrainConfig:
    """About a minute on one thread."""
    return balance(
        strop.algorithms.A2C.Config(
            optimizer=strop.optimizer.AdamW(lr=1e-2, max_grad_norm=0.5), discount=0.99, n_step=None, entropy=0.001
        ),
        value_head=True,
        steps=40,
    )
