"""The config of a run by Stable-Baselines3, which a recipe returns in place of a TrainConfig."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strop.types import check_fields

ALGORITHMS = ("A2C", "DDPG", "DQN", "PPO", "SAC", "TD3")
OURS = ("policy", "env", "seed", "verbose", "device", "action_noise", "tensorboard_log")
"""Arguments of the algorithms that are fields of the config, or that a run decides itself."""
LARGEST = {"steps": 10**9, "interactions": 10**9, "episodes": 10**6, "seed": 2**32 - 1}
"""The seed is numpy's, which Stable-Baselines3 sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """One run of an algorithm of Stable-Baselines3.

    algorithm         DDPG, TD3, SAC, DQN, A2C or PPO
    environment       the id of a Gymnasium environment
    policy            Stable-Baselines3's name of the network
    options           further arguments of the algorithm's class
    noise             standard deviation of Gaussian noise on continuous actions scaled to [-1, 1]
    steps             steps of the run, each of `interactions` turns of the environment
    interactions      turns of the environment in one step of the run
    episodes          episodes in a judgement, always with the same seeds and without noise
    eval_every        steps between judgements; 0 judges the start and the end
    checkpoint_every  steps between checkpoints
    seed              random seed of the run
    threads           CPU threads; none takes every core this process may use
    """

    algorithm: str = "DDPG"
    environment: str = "Pendulum-v1"
    policy: str = "MlpPolicy"
    options: Mapping[str, Any] = field(default_factory=dict)
    noise: float = 0.0
    steps: int = 20
    interactions: int = 500
    episodes: int = 10
    eval_every: int = 0
    checkpoint_every: int = 10
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm={self.algorithm!r}: Stable-Baselines3 has {', '.join(ALGORITHMS)}.")
        for name in ("steps", "interactions", "episodes", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it is at least 1.")
        for name in ("seed", "eval_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: it cannot be negative.")
        for name, largest in LARGEST.items():
            if getattr(self, name) > largest:
                raise ValueError(f"{name}={getattr(self, name)}: it is at most {largest:,}.")
        if not 0.0 <= self.noise < math.inf:
            raise ValueError(f"noise={self.noise}: a standard deviation is 0 or above.")
        if reserved := sorted(set(self.options) & set(OURS)):
            raise ValueError(
                f"options hold {', '.join(reserved)}: a run sets this itself, from the config's own fields."
            )

    def build(self) -> Any:
        """The algorithm with its environment and networks. Raises ValueError for an option that it does not have."""
        from strop.control.model import build

        return build(self)

    def judge(self, model: Any) -> list[float]:
        """The return of each held-out episode."""
        from strop.control.model import judge

        return judge(self, model)
