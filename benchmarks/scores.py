"""Held-out judgement that is the same for everybody, and the statistics of several seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gymnasium
import numpy as np

RESAMPLES = 10_000
JUDGED = 1_000_000
"""The seed of the first judged episode: the same for every policy."""


def judge(act: Callable[[np.ndarray], Sequence[int]], environment: str, num_episodes: int) -> list[float]:
    """The return of each held-out episode; `act` gives the actions of observations [N, S]."""
    envs = [gymnasium.make(environment) for _ in range(num_episodes)]
    observed = [env.reset(seed=JUDGED + i)[0] for i, env in enumerate(envs)]
    returns, live = [0.0] * num_episodes, list(range(num_episodes))
    while live:
        going = []
        for i, action in zip(live, act(np.stack([observed[i] for i in live])), strict=True):
            observed[i], reward, terminated, truncated, _ = envs[i].step(action)
            returns[i] += float(reward)
            if not (terminated or truncated):
                going.append(i)
        live = going
    for env in envs:
        env.close()
    return returns


def iqm(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """The interquartile mean along the last axis: without floor(n / 4) numbers at each end (Agarwal et al. 2021)."""
    cut = np.shape(scores)[-1] // 4
    return np.sort(scores, axis=-1)[..., cut : np.shape(scores)[-1] - cut].mean(axis=-1)


def interval(scores_S: Sequence[float], resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the IQM: the seeds of one task are one stratum, drawn with replacement.

    The dice are the same in every call, so that equal scores have equal intervals.
    """
    drawn_RS = np.random.default_rng(0).choice(np.array(scores_S), size=(resamples, len(scores_S)))
    low, high = np.quantile(iqm(drawn_RS), [0.025, 0.975])
    return float(low), float(high)


def verdict(ours: float, theirs: tuple[float, float]) -> str:
    """Our IQM beside their interval."""
    low, high = theirs
    return "above" if ours > high else "within" if ours >= low else "below"
