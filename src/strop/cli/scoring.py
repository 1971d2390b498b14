"""The reward tried out: on one text, or on groups of the start model."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from strop.cli.errors import Problem, Usage
from strop.cli.output import bar, console, number, pairs, print_json, print_rich, table
from strop.cli.show_verdicts import asked, cut, said
from strop.types import Episode, Sampling, Task, Unscored, decimals, total
from strop.words import plural

if TYPE_CHECKING:
    from strop.config import TrainConfig

ENDLESS = 20_000
BINS = 10


@dataclass(frozen=True, slots=True)
class OfText:
    """What every part of the reward says of a text."""

    task: str
    prompt: str
    text: str
    reward: float
    parts: dict[str, float]
    weights: dict[str, float]
    environment: float


@dataclass(frozen=True, slots=True)
class OfStart:
    """What the start model gets. Groups with signal are those whose scored answers differ in reward."""

    groups: int
    samples: int
    unscored: int
    mean: float
    sd: float
    in_group_sd: float
    signal: float
    parts: dict[str, float]
    histogram: list[tuple[float, float, int]]
    best: str
    worst: str
    verdict: str


def of_text(config: TrainConfig, text: str, task_id: str | None, gold: bool) -> OfText:
    """Play one task with this text as every answer. No model is loaded."""
    from strop.codec import ByteCodec
    from strop.rollout.play import play
    from strop.samplers.scripted import ScriptedSampler
    from strop.types import End

    codec: Any = ByteCodec()
    task = _task(config, task_id)
    policy: Any = _NoPolicy()
    scene = config.scene(policy, codec, gold)
    sampling = Sampling(max_tokens=len(text.encode()) + 1)
    scene = replace(scene, context=ENDLESS + sampling.max_tokens)
    episode = play(scene, [task], 1, ScriptedSampler(codec, lambda _: text), sampling, "score", 0)[0]
    reward = episode.reward
    if isinstance(reward, Unscored):
        what = "the environment failed" if episode.end is End.FAILED else "this text cannot be scored"
        raise Problem(f"{what}:\n{reward.reason}")
    parts = {name: math.nan if isinstance(part.total, Unscored) else part.total for name, part in episode.parts.items()}
    weights = {name: part.weight for name, part in episode.parts.items()}
    paid = total([turn.reward for turn in episode.turns])
    return OfText(task.id, asked(episode), text, reward, parts, weights, paid)


def of_start(config: TrainConfig, num_groups: int | None, gold: bool) -> OfStart:
    """Sample groups (None: as many as a step has) from the policy as it is before training."""
    from strop.data.source import Shuffled
    from strop.rollout.play import play
    from strop.samplers.local import LocalSampler

    num_groups = config.prompts_per_step if num_groups is None else num_groups
    if num_groups < 1:
        raise Usage(f"--groups {num_groups}: at least 1 is needed.", hint="leave it out for as many as a step has")
    config.set_up_torch()
    policy, codec = config.policy.build(config.seed, config.dtype)  # type: ignore[union-attr, arg-type]
    tasks = Shuffled(config.tasks, config.seed).next(num_groups)
    sampler = LocalSampler(policy, codec.stop)
    scene = config.scene(policy, codec, gold)
    return _summary(play(scene, tasks, config.group_size, sampler, config.sampling.at(0), "train", 0))


def show_text(found: OfText, as_json: bool) -> None:
    """A table of the parts."""
    if as_json:
        print_json(found)
        return
    rows = [
        (name, number(value), f"x {found.weights[name]:g}", number(found.weights[name] * value))
        for name, value in found.parts.items()
    ]
    if found.environment or not rows:
        rows.append(("the environment's own", number(found.environment), "", number(found.environment)))
    print_rich(pairs([("task", f"{found.task}: {found.prompt}"), ("text", found.text)]))
    console().print()
    print_rich(table(["part", "score", "weight", "counts"], rows, right=(1, 2, 3)))
    console().print(f"\nreward {number(found.reward)}", style="bold")


def show_start(found: OfStart, as_json: bool) -> None:
    """A histogram in text, the numbers, and what they mean."""
    if as_json:
        print_json(found)
        return
    out = console()
    answers, prompts = plural(found.samples, "answer"), plural(found.groups, "prompt")
    out.print(f"{answers} of the start model to {prompts}\n", style="bold")
    width = max(8, min(40, out.width - 24))
    most = max((count for *_, count in found.histogram), default=1)
    for low, high, count in found.histogram:
        label = f"{decimals(low):>7}" + ("        " if low == high else f" {decimals(high):>7}")
        out.print(f"{label}  {bar(count / most, width)} {count}")
    rows = [
        ("reward", f"mean {number(found.mean)}, sd {number(found.sd)}, sd inside a group {number(found.in_group_sd)}"),
        ("signal", f"{found.signal:.0%} of the groups hold different rewards"),
        *((f"  {name}", number(value)) for name, value in found.parts.items()),
        *([("unscored", str(found.unscored))] if found.unscored else []),
        ("best", found.best),
        ("worst", found.worst),
    ]
    out.print()
    print_rich(pairs(rows))
    out.print(f"\n{found.verdict}", style="bold")


class _NoPolicy:
    """Stands where a scene asks how much a policy can read."""

    context = None


def _task(config: TrainConfig, task_id: str | None) -> Task:
    every = {task.id: task for task in (*config.tasks, *config.held_out)}
    if task_id is None:
        return config.tasks[0]
    if task_id not in every:
        near = difflib.get_close_matches(task_id, every, n=1)
        raise Usage(f"there is no task {task_id!r}" + (f"; did you mean {near[0]}?" if near else "."))
    return every[task_id]


def _summary(episodes: Sequence[Episode]) -> OfStart:
    scored = [(episode, episode.reward) for episode in episodes if not isinstance(episode.reward, Unscored)]
    if not scored:
        reason = next(e.reward.reason for e in episodes if isinstance(e.reward, Unscored))
        raise Problem(f"none of the {len(episodes)} answers could be scored. The first reason:\n{reason}")
    returns = [float(value) for _, value in scored]
    groups: dict[int, list[float]] = {}
    for episode, value in scored:
        groups.setdefault(episode.group, []).append(float(value))
    compared = [group for group in groups.values() if len(group) > 1]
    signal = _mean([len(set(group)) > 1 for group in compared])
    sd, inside = _sd(returns), _root_mean_square([_sd(group) for group in groups.values()])
    best, worst = max(scored, key=lambda pair: pair[1])[0], min(scored, key=lambda pair: pair[1])[0]
    return OfStart(
        groups=len({episode.group for episode in episodes}),
        samples=len(episodes),
        unscored=len(episodes) - len(scored),
        mean=_mean(returns),
        sd=sd,
        in_group_sd=inside,
        signal=signal,
        parts=_parts(episodes),
        histogram=histogram(returns),
        best=f"{number(max(returns))}{cut(best)}  {said(best)}",
        worst=f"{number(min(returns))}{cut(worst)}  {said(worst)}",
        verdict=_verdict(compared, signal, sd, inside, _mean(returns)),
    )


def histogram(values: Sequence[float]) -> list[tuple[float, float, int]]:
    """(from, to, count): one bin a value where there are few different ones, else ten of equal width."""
    counted = Counter(values)
    if len(counted) <= BINS:
        return [(value, value, counted[value]) for value in sorted(counted)]
    low, high = min(values), max(values)
    width = high / BINS - low / BINS  # their difference may be more than a float
    places = Counter(int(min((value - low) / width, BINS - 1)) for value in values)
    return [(low + i * width, low + (i + 1) * width, places[i]) for i in range(BINS)]


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
