"""Build and judge a model of Stable-Baselines3, which holds an algorithm, its environment and its networks."""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import Any

import numpy as np

from strop.control.config import OURS, ControlConfig

JUDGED = 1_000_000
"""The seed of the first judged episode: far from those that training uses, and the same in every judgement."""


def build(config: ControlConfig) -> Any:
    """The model of a config. Raises ValueError for an option that its algorithm does not have."""
    kind = getattr(require_stable_baselines3(), config.algorithm)
    known = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", *OURS)]
    for name in config.options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}."
            raise ValueError(f"options: {config.algorithm} has no argument {name!r}; {hint}")
    env = importlib.import_module("gymnasium").make(config.environment)
    options = {**config.options, **({"action_noise": _noise(config.noise, env)} if config.noise else {})}
    model = kind(config.policy, env, seed=config.seed, device="cpu", **options)
    model.set_logger(importlib.import_module("stable_baselines3.common.logger").Logger(None, []))
    return model


def judge(config: ControlConfig, model: Any) -> list[float]:
    """The return of each held-out episode."""
    env = importlib.import_module("gymnasium").make(config.environment)
    returns = [_play(env, model, JUDGED + episode) for episode in range(config.episodes)]
    env.close()
    return returns


def require_stable_baselines3() -> Any:
    """The package stable_baselines3. Raises ImportError with how to install it."""
    try:
        return importlib.import_module("stable_baselines3")
    except ImportError as error:
        raise ImportError('this recipe needs Stable-Baselines3: pip install "strop[control]"') from error


def _noise(share: float, env: Any) -> Any:
    """Gaussian noise on each number of an action, which the algorithms scale to [-1, 1]."""
    if not hasattr(env.action_space, "low"):
        raise ValueError(f"noise={share}: the actions of {env.spec.id} are not continuous; set noise=0.")
    shape = env.action_space.shape
    kind = importlib.import_module("stable_baselines3.common.noise").NormalActionNoise
    return kind(np.zeros(shape), np.full(shape, share))


def _play(env: Any, model: Any, seed: int) -> float:
    """The return of one episode without exploration."""
    observation, _ = env.reset(seed=seed)
    total, is_over = 0.0, False
    while not is_over:
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, is_over = total + float(reward), terminated or truncated
    return total
