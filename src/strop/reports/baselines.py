"""Is it better than something simple? The last held-out judgement of a run against its baselines, task by task.

Only the run's files are read, so that showing a run loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strop.beside import FILE, Attempt, from_lines
from strop.evaluate import gold_of, interval, paired_difference, rewards_of
from strop.intervals import Interval
from strop.reports.verdicts import gold_weights
from strop.runs.directory import RunDirectory
from strop.types import Episode


@dataclass(frozen=True, slots=True)
class Beside:
    """A baseline beside the policy: its scores, and the mean of the paired differences, policy minus baseline.

    The gold fields are None where there is no gold. `num_prompts` were scored for both.
    """

    name: str
    reward: Interval
    difference: Interval
    num_prompts: int
    gold: Interval | None = None
    gold_difference: Interval | None = None

    @property
    def sentence(self) -> str:
        """The comparison in words, which claims no more than the interval shows."""
        where = f"on {self.num_prompts} held-out prompts"
        if not self.num_prompts:
            return f"{self.name}: no prompt was scored for both, so nothing is shown."
        is_same_everywhere = bool(self.difference.reason) and self.num_prompts > 1
        if self.difference.low > 0 or (is_same_everywhere and self.difference.mean > 0):
            return f"reward is above {self.name} by {self.difference:+} {where}."
        if self.difference.high < 0 or (is_same_everywhere and self.difference.mean < 0):
            return f"reward is below {self.name} by {self.difference:+} {where}."
        return f"reward is not shown to differ from {self.name}: {self.difference:+} {where}."


def attempts_of_run(directory: RunDirectory) -> dict[str, list[Attempt]]:
    """What each baseline of a run did, by its name; empty for a run without baselines."""
    file = directory.path / FILE
    return by_name(from_lines(file.read_text(encoding="utf-8")) if file.is_file() else [])


def by_name(attempts: Sequence[Attempt]) -> dict[str, list[Attempt]]:
    """The attempts of each baseline."""
    found: dict[str, list[Attempt]] = {}
    for one in attempts:
        found.setdefault(one.baseline, []).append(one)
    return found


def besides_of(directory: RunDirectory) -> list[Beside]:
    """Every baseline beside the last judgement. Empty without baselines or without a judgement that is kept."""
    if not (found := attempts_of_run(directory)):
        return []
    with directory.reader() as store:
        steps = [step for step, _ in store.series("held_out/reward")]
        episodes = store.episodes("evaluate", steps[-1]) if steps else []
    return besides(found, episodes, gold_weights(directory.config())) if episodes else []


def besides(
    found: Mapping[str, Sequence[Attempt]], episodes: Sequence[Episode], gold: Mapping[str, float]
) -> list[Beside]:
    """Every baseline beside these episodes of the policy."""
    rewards = dict(zip([one.task.id for one in episodes], rewards_of(episodes), strict=True))
    golds = dict(zip(rewards, gold_of(episodes, gold), strict=True)) if gold else {}
    return [_beside(name, attempts, rewards, golds) for name, attempts in found.items()]


def _beside(name: str, attempts: Sequence[Attempt], rewards: Mapping[str, float], golds: Mapping[str, float]) -> Beside:
    both = [one for one in attempts if one.task in rewards]
    theirs, ours = [_number(one.reward) for one in both], [rewards[one.task] for one in both]
    scored = sum(not math.isnan(a + b) for a, b in zip(theirs, ours, strict=True))
    made = Beside(name, interval(theirs, ours), paired_difference(theirs, ours), scored)
    if not golds:
        return made
    theirs, ours = [_number(one.gold) for one in both], [golds[one.task] for one in both]
    return Beside(name, made.reward, made.difference, scored, interval(theirs, ours), paired_difference(theirs, ours))


def _number(value: float | None) -> float:
    return math.nan if value is None else value
