"""Did it get better? A run's first held-out judgement against its last, over the same prompts with the same seeds.

Only the run's files are read, so that showing a run loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strop.evaluate import gold_of, interval, paired_difference, rewards_of
from strop.intervals import Interval
from strop.runs.directory import RunDirectory
from strop.types import Episode, decimals, digits_of

FEW = 8
"""With fewer prompts than this, or fewer whose score changed, a single prompt may decide the verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A held-out score before and after, and the mean of the paired differences.

    `num_prompts` were scored both times, and `num_changed` of them differently.
    """

    name: str
    before: Interval
    after: Interval
    difference: Interval
    num_prompts: int
    num_changed: int

    @property
    def sentence(self) -> str:
        """The verdict in words, which claims no more than the interval shows."""
        if not self.num_prompts:
            return f"{self.name}: no prompt was scored both times, so nothing is shown."
        if self.difference.reason:
            return self._without_interval
        change = f"by {self.difference:+}"
        where = f"on {self.num_prompts} held-out prompts"
        if self.difference.low > 0:
            return f"{self.name} rose {change} {where}.{self._few}"
        if self.difference.high >= 0:
            claim = "have changed" if self.name == "gold" else "be better"
            few = self._few if self.num_prompts < FEW else ""
            return f"{self.name} is not shown to {claim}: it changed {change} {where}, which may be chance.{few}"
        return f"{self.name} fell {change} {where}.{self._hacked}{self._few}"

    @property
    def fell(self) -> bool:
        """Whether the whole interval of the difference lies below 0, or every prompt fell by the same."""
        return self.difference.high < 0 or (
            bool(self.difference.reason) and self.num_prompts > 1 and self.difference.mean < 0
        )

    @property
    def _without_interval(self) -> str:
        mean = self.difference.mean
        change, where = f"by {decimals(mean, digits_of(mean), '+')}", f"on each of {self.num_prompts} held-out prompts"
        if self.num_prompts == 1:
            return f"{self.name} changed {change} on the one held-out prompt, which shows nothing."
        if mean == 0:
            return f"{self.name} is the same as before {where}.{self._few}"
        if mean > 0:
            return f"{self.name} rose {change} {where}.{self._few}"
        return f"{self.name} fell {change} {where}.{self._hacked}{self._few}"

    @property
    def _hacked(self) -> str:
        return " The reward may have been hacked: read the texts." if self.name == "gold" else ""

    @property
    def _few(self) -> str:
        if self.num_prompts < FEW:
            return " These are few prompts: believe it only with more."
        if 0 < self.num_changed < FEW:
            return f" Only {self.num_changed} of them changed: believe it only with more."
        return ""


def verdicts_of(directory: RunDirectory) -> list[Verdict]:
    """Reward, and gold where there is one. Empty with fewer than two judgements, or where no episodes are kept."""
    with directory.reader() as store:
        steps = [step for step, _ in store.series("held_out/reward")]
        if len(steps) < 2:
            return []
        before, after = store.episodes("evaluate", steps[0]), store.episodes("evaluate", steps[-1])
    return compare(before, after, gold_weights(directory.config())) if before else []


def compare(before: Sequence[Episode], after: Sequence[Episode], gold: Mapping[str, float]) -> list[Verdict]:
    """The verdicts over the tasks that both judgements played."""
    later = {episode.task.id: episode for episode in after}
    before = [episode for episode in before if episode.task.id in later]
    after = [later[episode.task.id] for episode in before]
    scores: dict[str, Callable[[Sequence[Episode]], list[float]]] = {"reward": rewards_of}
    if gold:
        scores["gold"] = lambda episodes: gold_of(episodes, gold)
    return [verdict(name, score(before), score(after)) for name, score in scores.items()]


def gold_weights(config: Mapping[str, Any]) -> dict[str, float]:
    """The weights of the gold scores that a run's config.json names."""
    return {name: float(weight) for name, (_, weight) in config["gold"].get("map", {}).items()}


def verdict(name: str, before: Sequence[float], after: Sequence[float]) -> Verdict:
    """The verdict of one score: `before` and `after` of the same prompts in the same order, NaN where unscored."""
    scored = [(old, new) for old, new in zip(before, after, strict=True) if not math.isnan(old + new)]
    changed = sum(old != new for old, new in scored)
    difference = paired_difference(before, after)
    return Verdict(name, interval(before, after), interval(after, before), difference, len(scored), changed)
