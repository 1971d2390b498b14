"""How far a run's judged means may be off: their 95 % intervals, from the judged episodes and the held-out pairs.

Reads the run's files alone, so that drawing loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from strop.data.preferences import is_pair
from strop.evaluate import gold_of, interval, rewards_of
from strop.intervals import Interval
from strop.reports.verdicts import gold_weights
from strop.runs.directory import RunDirectory
from strop.runs.spec import read_tasks
from strop.runs.store import Store
from strop.types import Episode


def intervals_of(run: RunDirectory, store: Store) -> dict[str, dict[int, Interval]]:
    """By metric and step. Nothing is known of a run that keeps no judged episodes (Stable-Baselines3's)."""
    config = run.config()
    gold = gold_weights(config) if config.get("gold") else {}
    scores: dict[str, dict[int, Sequence[float]]] = {}
    for step, _ in store.series("held_out/tokens"):
        for name, values in _scores(store.episodes("evaluate", step), gold).items():
            scores.setdefault(name, {})[step] = values
    found = {name: _beside_each_other(by_step) for name, by_step in scores.items()}
    return found | {"held_out/accuracy": _of_pairs(run, store)}


def _scores(episodes: Sequence[Episode], gold: Mapping[str, float]) -> dict[str, list[float]]:
    if not episodes:
        return {}
    scores = {"held_out/reward": rewards_of(episodes), "held_out/tokens": [float(one.num_actions) for one in episodes]}
    return scores | ({"held_out/gold": gold_of(episodes, gold)} if gold else {})


def _beside_each_other(by_step: Mapping[int, Sequence[float]]) -> dict[int, Interval]:
    """Every judgement of a run shows what a score can be in the others."""
    every = [value for values in by_step.values() for value in values]
    return {step: interval(values, every) for step, values in by_step.items()}


def _of_pairs(run: RunDirectory, store: Store) -> dict[int, Interval]:
    """Each held-out pair is preferred as people do, or not."""
    accuracies = store.series("held_out/accuracy")
    if not accuracies:
        return {}
    n = sum(map(is_pair, read_tasks(run.path / "held_out.jsonl")))
    right = {step: round(share * n) for step, share in accuracies if not math.isnan(share)}
    return {step: interval([1.0] * num + [0.0] * (n - num)) for step, num in right.items()}
