"""Swing a pendulum up and hold it: continuous actions, by DDPG of Stable-Baselines3 (the extra strop[control])."""

from __future__ import annotations

from strop.control import ControlConfig


def recipe() -> ControlConfig:
    """About two minutes on one thread. The best mean return is near -150, and the start has about -1200."""
    return ControlConfig(
        algorithm="DDPG",
        environment="Pendulum-v1",
        options={"gamma": 0.98, "learning_starts": 1_000, "policy_kwargs": {"net_arch": [64, 64]}},
        noise=0.1,
        steps=20,
        interactions=500,
        eval_every=5,
        checkpoint_every=5,
        threads=1,
    )
