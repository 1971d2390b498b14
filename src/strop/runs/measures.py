"""Metrics of a step that are computed from its episodes, and per-token opinions mapped back to their episodes."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from strop.types import Batch, Draw, End, Episode, Source, Unscored, total

_RESERVED = ("mean", "std")


def step_measures(episodes: Sequence[Episode], pays: bool = True) -> dict[str, float]:
    """Metrics of a step's episodes: reward and signal (if anything `pays`), lengths, shares of lost ones.

    A metric without data is left out.
    """
    # greedy episodes among sampled ones are a baseline: they do not show how the policy acts
    episodes = [episode for episode in episodes if episode.source is not Source.GREEDY] or episodes
    if not episodes:
        return {}
    completions = [turn.completion for episode in episodes for turn in episode.turns]
    failed = [episode.end is End.FAILED for episode in episodes]
    unscored = [isinstance(episode.reward, Unscored) for episode in episodes]
    measures = {
        **(_rewards(episodes) if pays else {}),
        "rollout/length": _mean([episode.num_actions for episode in episodes]),
        "rollout/failed": _mean(failed),
        "rollout/unscored": _mean([lost and not broke for lost, broke in zip(unscored, failed, strict=True)]),
    }
    if completions:
        measures["rollout/stop_share"] = _mean([completion.finish == "stop" for completion in completions])
    groups = scored_groups(episodes) if pays else {}
    if groups:
        measures["signal/groups"] = _mean([len(set(returns_G)) > 1 for returns_G in groups.values()])
    return measures


def cost_measures(episodes: Sequence[Episode], learnt: int, seconds: float) -> dict[str, float]:
    """Time and memory: the only metrics that differ between two runs of one config.

    Speed is in tokens that the policy wrote, or if it wrote none, in tokens that it learnt from.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    costs = {"time/step_seconds": seconds, "memory/peak_gigabytes": peak / 1e9}
    tokens = sum(episode.num_actions for episode in episodes) if episodes else learnt
    if tokens and seconds > 0:
        costs["time/tokens_per_second"] = tokens / seconds
    if torch.cuda.is_available():
        costs["memory/gpu_peak_gigabytes"] = torch.cuda.max_memory_allocated() / 1e9
    return costs


def scored_groups(episodes: Sequence[Episode]) -> dict[int, list[float]]:
    """The returns of each group's scored episodes, for groups of at least two such episodes."""
    returns: dict[int, list[float]] = {}
    for episode in episodes:
        reward = episode.reward
        if not isinstance(reward, Unscored):
            returns.setdefault(episode.group, []).append(reward)
    return {group: returns_G for group, returns_G in returns.items() if len(returns_G) > 1}


def add_opinions(
    opinions: dict[tuple[str, str], np.ndarray], draw: Draw, batch: Batch, per_token: Mapping[str, Tensor]
) -> None:
    """Copy each `_BT` opinion to `opinions[episode id, name]`: float32 per action, NaN where no update saw it."""
    action_BT = batch.action_BT.cpu().numpy()
    pick_B, offset_B = batch.episode_B.tolist(), batch.offset_B.tolist()
    for name, opinion_BT in per_token.items():
        numbers_BT = opinion_BT.detach().float().cpu().numpy()
        for row, (pick, offset) in enumerate(zip(pick_B, offset_B, strict=True)):
            episode = draw[pick].episode
            values = numbers_BT[row][action_BT[row]]
            if (episode.id, name) not in opinions:
                opinions[episode.id, name] = np.full(episode.num_actions, np.nan, dtype=np.float32)
            opinions[episode.id, name][offset : offset + len(values)] = values


def _rewards(episodes: Sequence[Episode]) -> dict[str, float]:
    """Mean and spread of the scored returns, and the mean of each named reward where it could be computed."""
    returns_E = [reward for episode in episodes if not isinstance(reward := episode.reward, Unscored)]
    totals: dict[str, list[float]] = {}
    for episode in episodes:
        for name, part in episode.parts.items():
            if name in _RESERVED:
                raise ValueError(f"No reward can be named {name!r}: reward/{name} is a metric. Rename it.")
            if not isinstance(part.total, Unscored):
                totals.setdefault(name, []).append(part.total)
    measures = {f"reward/{name}": _mean(values_E) for name, values_E in totals.items()}
    if returns_E:
        mean = _mean(returns_E)
        measures["reward/mean"] = mean
        measures["reward/std"] = math.sqrt(_mean([(reward - mean) * (reward - mean) for reward in returns_E]))
    return measures


def _mean(values: Sequence[float]) -> float:
    return total(values) / len(values)
