"""Did it get better? A run's first held-out judgement against its last, over the same prompts with the same dice.

Reads the run's files alone, so that looking at a run loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strop.evaluate import Interval, gold_of, interval, paired_difference, rewards_of
from strop.runs.directory import RunDirectory
from strop.types import Episode, decimals

FEW = 8
"""With fewer prompts than this a bootstrap interval says little."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A held-out score before and after, and the mean of the paired differences."""

    name: str
    before: Interval
    after: Interval
    difference: Interval
    num_prompts: int

    @property
    def sentence(self) -> str:
        """What may be said of it, and no more."""
        change = f"by {_signed(self.difference.mean)} [{_signed(self.difference.low)}, {_signed(self.difference.high)}]"
        where = f"on {self.num_prompts} held-out prompts"
        if math.isnan(self.difference.mean):
            return f"{self.name}: no prompt was scored both times, so nothing is shown."
        few = " These are few prompts: believe it only with more." if self.num_prompts < FEW else ""
        if self.difference.low > 0:
            return f"{self.name} rose {change} {where}.{few}"
        if self.difference.high >= 0:
            claim = "have changed" if self.name == "gold" else "be better"
            return f"{self.name} is not shown to {claim}: it changed {change} {where}, which may be chance.{few}"
        hacked = " The reward may have been hacked: read the texts." if self.name == "gold" else ""
        return f"{self.name} fell {change} {where}.{hacked}{few}"

    @property
    def fell(self) -> bool:
        """Whether the whole interval of the difference lies below 0."""
        return self.difference.high < 0


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
    return [_verdict(name, score(before), score(after)) for name, score in scores.items()]


def gold_weights(config: Mapping[str, Any]) -> dict[str, float]:
    """The weights of the gold scores that a run's config.json names."""
    return {name: float(weight) for name, (_, weight) in config["gold"].get("map", {}).items()}


def _verdict(name: str, before: Sequence[float], after: Sequence[float]) -> Verdict:
    return Verdict(name, interval(before), interval(after), paired_difference(before, after), len(before))


def _signed(value: float) -> str:
    return decimals(value, sign="+")
