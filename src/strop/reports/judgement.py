"""Held-out judgements: made on demand, and the intervals of those that a run has stored. Reading loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.beside import Attempt, attempts_of
from strop.data.preferences import is_pair
from strop.evaluate import gold_of, interval, rewards_of
from strop.intervals import Interval
from strop.reports.baselines import Beside, attempts_of_run, besides, by_name
from strop.reports.verdicts import Verdict, compare, gold_weights
from strop.runs.directory import RunDirectory
from strop.runs.records import HELD_OUT
from strop.runs.spec import read_tasks
from strop.runs.store import Store
from strop.types import Episode, Parts

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.endpoint.endpoint import Endpoint

REWARD = "held_out/reward"
"""Measured where there are rewards."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The scores of a policy, and how they differ from the start if that was judged too. `means` have no interval."""

    who: str
    step: int | None
    prompts: int
    scores: dict[str, Interval]
    means: dict[str, float]
    verdicts: list[Verdict]
    besides: list[Beside]


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement, and the episodes that were judged: those of the start, if there are any, and the new ones."""

    judgement: Judgement
    before: list[Episode]
    after: list[Episode]


def judge(
    who: str,
    step: int | None,
    config: TrainConfig,
    parts: Parts,
    start: Sequence[Episode] = (),
    beside: Mapping[str, Sequence[Attempt]] | None = None,
) -> Judged:
    """Judge the policy of `parts` on the held-out tasks of `config`, and compare it with the episodes of a start.

    `who` and `step` name it; the step of a model is None. `beside` is what the baselines did; None plays them.
    """
    if not config.held_out:
        raise ValueError("there are no held-out prompts to judge on: set held_out=[strop.Task(...), ...].")
    after, means = config.judge(parts, step or 0)
    return _judged(who, step, config, after, means, start, beside)


def judge_endpoint(config: TrainConfig, endpoint: Endpoint) -> Judged:
    """Judge a model behind an API on the held-out tasks of a resolved config."""
    from strop import judging  # which loads torch

    after, means = judging.judge_endpoint(config, endpoint)
    return _judged(endpoint.name, None, config, after, means)


def _judged(
    who: str,
    step: int | None,
    config: TrainConfig,
    after: list[Episode],
    means: Mapping[str, float],
    start: Sequence[Episode] = (),
    beside: Mapping[str, Sequence[Attempt]] | None = None,
) -> Judged:
    ids = {task.id for task in config.held_out}
    before = [episode for episode in start if episode.task.id in ids]
    scores = _intervals(config, before, after, means)
    others = {name: mean for key, mean in means.items() if (name := key.removeprefix(HELD_OUT)) not in scores}
    verdicts = compare(before, after, config.gold_weights) if before and REWARD in means else []
    beside = by_name(attempts_of(config)) if beside is None else beside
    found = besides(beside, after, config.gold_weights)
    judgement = Judgement(who, step, len(config.held_out), scores, others, verdicts, found)
    return Judged(judgement, before, after)


def judge_again(directory: RunDirectory, step: int, config: TrainConfig, parts: Parts) -> Judged:
    """Judge a run's checkpoint, and compare it with the run's own judgement of its start."""
    with directory.reader() as store:
        start = store.episodes("evaluate", 0) if step > 0 else []
    return judge(str(directory.path), step, config, parts, start, attempts_of_run(directory))


def intervals_of(run: RunDirectory, store: Store) -> dict[str, dict[int, Interval]]:
    """Intervals by metric and step. A run without judged episodes (Stable-Baselines3's) has none."""
    config = run.config()
    gold = gold_weights(config) if config.get("gold") else {}
    scores: dict[str, dict[int, Sequence[float]]] = {}
    for step, _ in store.series("held_out/tokens"):
        for name, values in _scores(store.episodes("evaluate", step), gold).items():
            scores.setdefault(name, {})[step] = values
    found = {name: _by_step(by_step) for name, by_step in scores.items()}
    return found | {"held_out/accuracy": _of_pairs(run, store)}


def _scores(episodes: Sequence[Episode], gold: Mapping[str, float]) -> dict[str, list[float]]:
    if not episodes:
        return {}
    scores = {"held_out/reward": rewards_of(episodes), "held_out/tokens": [float(one.num_actions) for one in episodes]}
    return scores | ({"held_out/gold": gold_of(episodes, gold)} if gold else {})


def _by_step(by_step: Mapping[int, Sequence[float]]) -> dict[int, Interval]:
    """An interval for each step; the scores of all judgements show which values a score can have."""
    all_scores = [value for values in by_step.values() for value in values]
    return {step: interval(values, all_scores) for step, values in by_step.items()}


def _of_pairs(run: RunDirectory, store: Store) -> dict[int, Interval]:
    """The accuracy on held-out pairs: each pair is ordered right or wrong."""
    accuracies = store.series("held_out/accuracy")
    if not accuracies:
        return {}
    n = sum(map(is_pair, read_tasks(run.path / "held_out.jsonl")))
    right = {step: round(share * n) for step, share in accuracies if not math.isnan(share)}
    return {step: interval([1.0] * num + [0.0] * (n - num)) for step, num in right.items()}


def _intervals(
    config: TrainConfig, before: Sequence[Episode], after: Sequence[Episode], means: Mapping[str, float]
) -> dict[str, Interval]:
    scores = {"reward": interval(rewards_of(after), rewards_of(before))} if REWARD in means else {}
    if weights := config.gold_weights:
        scores["gold"] = interval(gold_of(after, weights), gold_of(before, weights))
    return scores
