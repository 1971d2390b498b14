"""Held-out judgement: the same rollout without an update, and intervals on what it says.

Every judgement of a run plays the same tasks with the same dice, so two judgements are paired: their difference is the
policy's doing, and its interval comes from resampling prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strop.rollout import GOLD, Scene, play
from strop.types import Episode, Sampler, Sampling, Task, Unscored, decimals

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{decimals(self.mean)} [{decimals(self.low)}, {decimals(self.high)}]"


def judge(
    scene: Scene, tasks: Sequence[Task], sampler: Sampler, sampling: Sampling, step: int, gold: Mapping[str, float]
) -> tuple[list[Episode], dict[str, float]]:
    """Play every held-out task once: the episodes, and the means of what they scored. `gold` holds weights by name."""
    episodes = play(scene, tasks, 1, sampler, sampling, "evaluate", step)
    metrics = {"held_out/reward": _mean(rewards_of(episodes))}
    names = dict.fromkeys(name for episode in episodes for name in episode.parts)
    for name in names:
        metrics[f"held_out/{name}"] = _mean([_total(episode, name) for episode in episodes])
    if gold:
        metrics["held_out/gold"] = _mean(gold_of(episodes, gold))
    metrics["held_out/tokens"] = _mean([float(episode.num_actions) for episode in episodes])
    metrics["held_out/unscored"] = float(np.mean([isinstance(episode.reward, Unscored) for episode in episodes]))
    return episodes, metrics


def rewards_of(episodes: Sequence[Episode]) -> list[float]:
    """Each episode's return, NaN where it is Unscored."""
    return [np.nan if isinstance(episode.reward, Unscored) else episode.reward for episode in episodes]


def gold_of(episodes: Sequence[Episode], weights: Mapping[str, float]) -> list[float]:
    """Each episode's gold score: the weighted mean of its gold parts, NaN where one is Unscored."""
    total = sum(weights.values())
    return [
        sum(weight * _total(episode, GOLD + name) for name, weight in weights.items()) / total for episode in episodes
    ]


def interval(values: Sequence[float]) -> Interval:
    """The mean over prompts with its 95 % percentile bootstrap interval; unscored (NaN) prompts are left out."""
    scored = np.array([value for value in values if not np.isnan(value)])
    if not len(scored):
        return Interval(np.nan, np.nan, np.nan)
    rng = np.random.default_rng(0)  # the interval of the same numbers is the same interval
    means = scored[rng.integers(len(scored), size=(RESAMPLES, len(scored)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(scored.mean()), float(low), float(high))


def paired_difference(before: Sequence[float], after: Sequence[float]) -> Interval:
    """Mean of after - before over prompts scored both times, with its paired bootstrap interval."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} and {len(after)} prompts cannot be paired: judge both on the same ones.")
    return interval([b - a for a, b in zip(before, after, strict=True)])


def _total(episode: Episode, name: str) -> float:
    part = episode.parts.get(name)
    return np.nan if part is None or isinstance(part.total, Unscored) else part.total


def _mean(values: Sequence[float]) -> float:
    scored = [value for value in values if not np.isnan(value)]
    return float(np.mean(scored)) if scored else float("nan")
