"""A recipe's reward tried out: on one text, or on groups of the start model. Is there a signal to learn from?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.reports.excerpts import answer_of, is_cut, last_message
from strop.reports.scripted import played, scene_of
from strop.types import End, Episode, Task, Unscored, total

if TYPE_CHECKING:
    from strop.config import TrainConfig

BINS = 10


@dataclass(frozen=True, slots=True)
class TextReward:
    """The reward of a text and its parts; `environment` is the reward that the environment itself gave."""

    task: str
    prompt: str
    text: str
    reward: float
    parts: dict[str, float]
    weights: dict[str, float]
    environment: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the start model, and its reward."""

    reward: float
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Signal:
    """The rewards of the start model.

    `signal` is the share of groups whose scored answers differ in reward, `in_group_sd` the spread inside groups;
    `histogram` holds (from, to, count), and `verdict` sums it up in words.
    """

    groups: int
    samples: int
    unscored: int
    mean: float
    sd: float
    in_group_sd: float
    signal: float
    parts: dict[str, float]
    histogram: list[tuple[float, float, int]]
    best: Answer
    worst: Answer
    verdict: str


def reward_of_text(config: TrainConfig, task: Task, text: str, gold: bool) -> TextReward:
    """Play the task with this text as every answer. No model is loaded. Raises ValueError where it cannot be scored."""
    episode = played(scene_of(config, gold), task, [text])[0]
    reward = episode.reward
    if isinstance(reward, Unscored):
        what = "the environment failed" if episode.end is End.FAILED else "this text cannot be scored"
        raise ValueError(f"{what}:\n{reward.reason}")
    parts = {name: math.nan if isinstance(part.total, Unscored) else part.total for name, part in episode.parts.items()}
    weights = {name: part.weight for name, part in episode.parts.items()}
    environment = total([turn.reward for turn in episode.turns])
    return TextReward(task.id, last_message(task.prompt), text, reward, parts, weights, environment)


def signal_of_start(config: TrainConfig, num_groups: int, gold: bool) -> Signal:
    """Sample groups from the policy as it is before training. Raises ValueError where no answer can be scored."""
    from strop.data.source import source_of
    from strop.rollout.play import play
    from strop.samplers.local import LocalSampler

    config.set_up_torch()
    policy, codec = config.policy.build(config.seed, config.dtype, config.device)  # type: ignore[union-attr, arg-type]
    tasks = source_of(config.tasks, config.seed).next(num_groups)
    sampler = LocalSampler(policy, codec.stop)
    scene = config.scene(policy, codec, gold)
    return signal_in(play(scene, tasks, config.group_size, sampler, config.sampling.at(0), "train", 0))


def signal_in(episodes: Sequence[Episode]) -> Signal:
    """The signal in the rewards of played episodes."""
    scored = [(reward, one) for one in episodes if not isinstance(reward := one.reward, Unscored)]
    if not scored:
        reason = next(one.reward.reason for one in episodes if isinstance(one.reward, Unscored))
        raise ValueError(f"none of the {len(episodes)} answers could be scored. The first reason:\n{reason}")
    rewards = [reward for reward, _ in scored]
    groups: dict[int, list[float]] = {}
    for reward, episode in scored:
        groups.setdefault(episode.group, []).append(reward)
    compared = [group for group in groups.values() if len(group) > 1]
    signal = _mean([len(set(group)) > 1 for group in compared])
    mean, sd = _mean(rewards), _sd(rewards)
    in_group_sd = _root_mean_square([_sd(group) for group in groups.values()])
    return Signal(
        groups=len({episode.group for episode in episodes}),
        samples=len(episodes),
        unscored=len(episodes) - len(scored),
        mean=mean,
        sd=sd,
        in_group_sd=in_group_sd,
        signal=signal,
        parts=_parts(episodes),
        histogram=histogram(rewards),
        best=_answer(*max(scored, key=lambda pair: pair[0])),
        worst=_answer(*min(scored, key=lambda pair: pair[0])),
        verdict=_verdict(compared, signal, sd, in_group_sd, mean),
    )


def histogram(values: Sequence[float]) -> list[tuple[float, float, int]]:
    """Bins (from, to, count): one for each value where few differ, else ten of equal width."""
    counted = Counter(values)
    if len(counted) <= BINS:
        return [(value, value, counted[value]) for value in sorted(counted)]
    low, high = min(values), max(values)
    width = high / BINS - low / BINS  # their difference may be more than a float
    places = Counter(int(min((value - low) / width, BINS - 1)) for value in values)
    return [(low + i * width, low + (i + 1) * width, places[i]) for i in range(BINS)]


def _answer(reward: float, episode: Episode) -> Answer:
    return Answer(reward, answer_of(episode), is_cut(episode))


def _verdict(groups: Sequence[Sequence[float]], signal: float, sd: float, inside: float, mean: float) -> str:
    if not groups:
        return "Every group has one scored answer: methods that compare answers need group_size of at least 2."
    if signal == 0.0:
        which = "too easy for it" if mean >= 1.0 else "too hard for it" if mean <= 0.0 else "blind to the differences"
        return (
            f"No signal: inside every group all answers get the same reward, so the reward is {which}, and methods "
            "that compare answers learn nothing."
        )
    if signal < 0.3:
        return (
            "Little signal: most groups get one and the same reward. Mix in easier or harder tasks, raise group_size, "
            "or give a reward with finer steps."
        )
    if inside < 0.3 * sd:
        return "There is signal, but most of the spread lies between prompts, not between answers to one prompt."
    return "There is signal: answers to the same prompt get different rewards, and that is what is learnt from."


def _parts(episodes: Sequence[Episode]) -> dict[str, float]:
    totals: dict[str, list[float]] = {}
    for episode in episodes:
        for name, part in episode.parts.items():
            if not isinstance(part.total, Unscored):
                totals.setdefault(name, []).append(part.total)
    return {name: _mean(values) for name, values in totals.items()}


def _mean(values: Sequence[float]) -> float:
    return total(values) / len(values) if values else math.nan


def _sd(values: Sequence[float]) -> float:
    mean = _mean(values)
    return _root_mean_square([value - mean for value in values])


def _root_mean_square(values: Sequence[float]) -> float:
    return math.hypot(*values) / math.sqrt(len(values)) if values else math.nan  # hypot's squares never overflow
