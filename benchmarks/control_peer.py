"""The other side of `benchmarks/control.py`: Stable-Baselines3 with the settings that its zoo publishes for the task.

rl-baselines3-zoo, hyperparams/{dqn,a2c,ppo}.yml. There A2C has 500 000 turns on both tasks, PPO 1 000 000 on Acrobot-v1
and DQN 50 000 on CartPole-v1; here everybody has the same budget.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch

from strop.control import require_stable_baselines3

SETTINGS: dict[tuple[str, str], dict[str, Any]] = {
    ("CartPole-v1", "DQN"): {
        "learning_rate": 2.3e-3,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1000,
        "gamma": 0.99,
        "target_update_interval": 10,
        "train_freq": 256,
        "gradient_steps": 128,
        "exploration_fraction": 0.16,
        "exploration_final_eps": 0.04,
        "policy_kwargs": {"net_arch": [256, 256]},
    },
    ("CartPole-v1", "A2C"): {"n_envs": 8, "ent_coef": 0.0},
    ("CartPole-v1", "PPO"): {
        "n_envs": 8,
        "n_steps": 32,
        "batch_size": 256,
        "n_epochs": 20,
        "gae_lambda": 0.8,
        "gamma": 0.98,
        "ent_coef": 0.0,
        "learning_rate": "lin_0.001",
        "clip_range": "lin_0.2",
    },
    ("Acrobot-v1", "DQN"): {
        "learning_rate": 6.3e-4,
        "batch_size": 128,
        "buffer_size": 50_000,
        "learning_starts": 0,
        "gamma": 0.99,
        "target_update_interval": 250,
        "train_freq": 4,
        "gradient_steps": -1,
        "exploration_fraction": 0.12,
        "exploration_final_eps": 0.1,
        "policy_kwargs": {"net_arch": [256, 256]},
    },
    ("Acrobot-v1", "A2C"): {"n_envs": 16, "normalize": True, "ent_coef": 0.0},
    ("Acrobot-v1", "PPO"): {
        "n_envs": 16,
        "normalize": True,
        "n_steps": 256,
        "n_epochs": 4,
        "gae_lambda": 0.94,
        "gamma": 0.99,
        "ent_coef": 0.0,
    },
}
"""As the zoo writes them: lin_x falls in a straight line from x to 0; `normalize` scales observations and rewards."""


class Actor:
    """The greedy policy: observations [N, S] to actions."""

    def __init__(self, model: Any, normaliser: Any) -> None:
        self.model, self.normaliser = model, normaliser

    def __call__(self, observed_NS: np.ndarray) -> Sequence[int]:
        if self.normaliser is not None:
            observed_NS = self.normaliser.normalize_obs(observed_NS)
        actions_N, _ = self.model.predict(observed_NS, deterministic=True)
        return [int(action) for action in actions_N]


def describe(environment: str, algorithm: str) -> str:
    """The settings, and the version that reads them."""
    version = require_stable_baselines3().__version__
    return json.dumps({"stable_baselines3": version, **SETTINGS[environment, algorithm]}, sort_keys=True)


def learn(environment: str, algorithm: str, seed: int, budget: int) -> tuple[Actor, int]:
    """One run: who acts after it, and how many turns it learnt from (whole rollouts: a few more than the budget)."""
    kind = getattr(require_stable_baselines3(), algorithm)
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    options = {name: _number(value) for name, value in SETTINGS[environment, algorithm].items()}
    num_envs, is_normalised = options.pop("n_envs", 1), options.pop("normalize", False)
    envs: Any = make_vec_env(lambda: gymnasium.make(environment), num_envs, seed=seed)
    if is_normalised:
        envs = VecNormalize(envs, gamma=options.get("gamma", 0.99))
    model = kind("MlpPolicy", envs, seed=seed, device="cpu", **options)
    model.learn(total_timesteps=budget)
    return Actor(model, envs if is_normalised else None), model.num_timesteps


def _number(value: Any) -> Any:
    """lin_x as a function of what is left of the run, from 1 to 0."""
    if isinstance(value, str) and value.startswith("lin_"):
        start = float(value.removeprefix("lin_"))
        return lambda left: left * start
    return dict(value) if isinstance(value, Mapping) else value
