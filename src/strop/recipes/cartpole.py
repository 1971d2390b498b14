"""Balance a pole on a cart: a small network learns from vectors, by REINFORCE."""

from __future__ import annotations

import strop
from strop.types import AlgorithmConfig, Task

ACTIONS = ("left", "right")


def push(text: str) -> int:
    """Gymnasium's number of an action."""
    return ACTIONS.index(text)


def balance(algorithm: AlgorithmConfig, value_head: bool = False, steps: int = 25) -> strop.TrainConfig:
    """CartPole-v1 for any algorithm: 1 for every turn that the pole stands, 500 turns at most, so 500 is the best."""
    return strop.TrainConfig(
        policy=strop.policies.MLP.Config(actions=ACTIONS, size=4, value_head=value_head),
        tasks=[Task(id="cartpole", prompt="")],
        held_out=[Task(id=f"held-out-{i}", prompt="") for i in range(10)],
        environment=strop.environments.from_gymnasium("CartPole-v1", to_action=push),
        algorithm=algorithm,
        sampling=strop.Sampling(max_tokens=1),
        group_size=8,
        prompts_per_step=1,
        steps=steps,
        threads=1,
    )


def recipe() -> strop.TrainConfig:
    """Under a minute on one thread."""
    return balance(strop.algorithms.REINFORCE.Config(optimizer=strop.optimizer.AdamW(lr=1e-2), discount=0.99))
