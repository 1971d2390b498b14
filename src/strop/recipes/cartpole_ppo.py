"""Balance a pole on a cart by PPO, with a separate network as the critic."""

from __future__ import annotations

import strop
from strop.recipes.cartpole import balance


def recipe() -> strop.TrainConfig:
    """About a minute on one thread."""
    return balance(
        strop.algorithms.PPO.Config(
            optimizer=strop.optimizer.AdamW(lr=3e-3, max_grad_norm=0.5),
            kl=strop.functional.KL(),
            discount=0.99,
            epochs=8,
            minibatches=4,
        ),
        value_head=True,
    )
