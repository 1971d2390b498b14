"""Held-out evaluation: a rollout without an update, and confidence intervals for its scores.

Every evaluation of a run plays the same tasks with the same random streams, so evaluations are paired: they differ only
by the policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from strop import intervals
from strop.choices import Choosing
from strop.functional.calibration import brier_score, calibration_error
from strop.intervals import ROUNDING, Interval, mean_interval
from strop.rollout.play import GOLD, Scene, play
from strop.types import Choices, Episode, Sampler, Sampling, Task, Tokens, Turn, Unscored

ENOUGH = 8
"""From this many prompts on, if all scores are one of two values, no other values are assumed possible."""


def judge(
    scene: Scene, tasks: Sequence[Task], sampler: Sampler, sampling: Sampling, step: int, gold: Mapping[str, float]
) -> tuple[list[Episode], dict[str, float]]:
    """Play every held-out task once: the episodes, and their mean scores. `gold` holds weights by name."""
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


def judge_choices(
    episodes: Sequence[Episode], logprobs: Mapping[tuple[Tokens, Choices], Sequence[float]], choosing: Choosing
) -> dict[str, float]:
    """How often the likeliest choice is the task's answer, and how far the probabilities can be believed.

    `logprobs` are those of each choice, by prompt and choices. Tasks of one turn whose answer is a choice count.
    """
    probs, answers, nats = list[list[float]](), list[int](), list[float]()
    for turn, answer in (asked for episode in episodes if (asked := _asked(episode, choosing)) is not None):
        assert turn.choices is not None
        answers.append(turn.choices.tokens.index(answer))
        of_choices = logprobs[turn.prompt, turn.choices]
        probs.append([math.exp(logprob) for logprob in of_choices])
        nats.append(-of_choices[answers[-1]])
    if not probs:
        return {}
    is_right = [row.index(max(row)) == answer for row, answer in zip(probs, answers, strict=True)]
    return {
        "held_out/right": float(np.mean(is_right)),
        **({"held_out/answer_nll": float(np.mean(nats))} if math.isfinite(sum(nats)) else {}),
        "held_out/brier": brier_score(probs, answers),
        "held_out/calibration_error": calibration_error([max(row) for row in probs], is_right),
    }


def _asked(episode: Episode, choosing: Choosing) -> tuple[Turn, Tokens] | None:
    """The only turn of an episode, and the choice that is its task's answer, if there are both."""
    if len(episode.turns) != 1 or episode.turns[0].choices is None or not episode.task.answer:
        return None
    try:
        return episode.turns[0], choosing.tokens_of(episode.task.answer, episode.turns[0].choices)
    except ValueError:  # the answer is none of the choices: rewards read it in another way
        return None


def rewards_of(episodes: Sequence[Episode]) -> list[float]:
    """Each episode's return, NaN where it is Unscored."""
    return [np.nan if isinstance(episode.reward, Unscored) else episode.reward for episode in episodes]


def gold_of(episodes: Sequence[Episode], weights: Mapping[str, float]) -> list[float]:
    """Each episode's gold score: the weighted mean of its gold parts, NaN where one is Unscored."""
    total = sum(weights.values())
    return [
        sum(weight * _total(episode, GOLD + name) for name, weight in weights.items()) / total for episode in episodes
    ]


def interval(values: Sequence[float], beside: Sequence[float] = ()) -> Interval:
    """The mean over prompts with its 95 % interval; unscored (NaN) prompts are left out.

    `beside` are further scores of the same kind: they show which values are possible if `values` are all equal.
    """
    scores, others = (np.array([value for value in some if not np.isnan(value)]) for some in (values, beside))
    scale = _scale(scores, others)
    if scale is None:
        return mean_interval(scores, "score", scores)
    worst, best = scale
    low, high = intervals.proportion(_successes(scores, scale), len(scores))
    return Interval(float(scores.mean()), worst + (best - worst) * low, worst + (best - worst) * high)


def paired_difference(before: Sequence[float], after: Sequence[float]) -> Interval:
    """Mean of after - before over prompts scored both times, with its 95 % interval."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} and {len(after)} prompts cannot be paired: judge both on the same ones.")
    both = [pair for pair in zip(before, after, strict=True) if not np.isnan(pair).any()]
    first, last = np.array(both).reshape(-1, 2).T
    scale = _scale(first, last)
    if scale is None:
        return mean_interval(last - first, "difference", np.concatenate([first, last]))
    width = scale[1] - scale[0]
    gains, losses = _successes(last - first, (0.0, width)), _successes(first - last, (0.0, width))
    low, high = intervals.change_of_proportion(gains, losses, len(both))
    return Interval(float((last - first).mean()), width * low, width * high)


def _scale(*judgements: np.ndarray) -> tuple[float, float] | None:
    """The worst and the best score if only two values are possible; else None, also for a single prompt."""
    pooled, n = np.concatenate(judgements), len(judgements[0])
    if n < 2:
        return None
    if np.isclose(pooled[:, None], [0.0, 1.0], rtol=0.0, atol=ROUNDING).any(axis=1).all():
        return 0.0, 1.0
    if n >= ENOUGH and _num_distinct(pooled) == 2 and any(_num_distinct(one) == 2 for one in judgements):
        return float(pooled.min()), float(pooled.max())
    return None


def _num_distinct(scores: np.ndarray) -> int:
    """The number of distinct scores, up to rounding."""
    largest = np.abs(scores).max(initial=0.0) or 1.0
    return len(np.unique(np.round(scores / largest / ROUNDING)))


def _successes(scores: np.ndarray, scale: tuple[float, float]) -> int:
    return int((scores > sum(scale) / 2).sum())


def _total(episode: Episode, name: str) -> float:
    part = episode.parts.get(name)
    return np.nan if part is None or isinstance(part.total, Unscored) else part.total


def _mean(values: Sequence[float]) -> float:
    scored = [value for value in values if not np.isnan(value)]
    return float(np.mean(scored)) if scored else float("nan")
