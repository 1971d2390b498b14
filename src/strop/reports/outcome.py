"""The outcome of a training: verdicts, example answers and speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strop.reports.baselines import Beside, besides_of
from strop.reports.judgement import REWARD
from strop.reports.verdicts import Verdict, verdicts_of
from strop.runs.directory import RunDirectory
from strop.runs.spec import read_tasks
from strop.runs.store import Store
from strop.types import Episode


@dataclass(frozen=True, slots=True)
class Outcome:
    """`before` and `after` are the episodes of the first and the last judgement, where both are there to compare;
    `besides` are the baselines."""

    verdicts: list[Verdict]
    besides: list[Beside]
    before: list[Episode]
    after: list[Episode]
    num_held_out: int
    steps: int
    tokens_per_second: float


def outcome_of(directory: RunDirectory) -> Outcome:
    """Read from the run's files."""
    verdicts = verdicts_of(directory)
    with directory.reader() as store:
        metrics = store.metrics()
        before, after = _judged(store, bool(verdicts), len(store.series("time/step_seconds")))
    return Outcome(
        verdicts=verdicts,
        besides=besides_of(directory),
        before=before,
        after=after,
        num_held_out=len(read_tasks(directory.path / "held_out.jsonl")),
        steps=sum("time/step_seconds" in one for one in metrics),
        tokens_per_second=tokens_per_second(metrics),
    )


def tokens_per_second(metrics: Sequence[Mapping[str, float]]) -> float:
    """Tokens the policy wrote, over the time of the steps, learning included."""
    timed = [one for one in metrics if "time/tokens_per_second" in one]
    seconds = sum(one["time/step_seconds"] for one in timed)
    tokens = sum(one["time/tokens_per_second"] * one["time/step_seconds"] for one in timed)
    return tokens / seconds if seconds else 0.0


def _judged(store: Store, has_verdicts: bool, done: int) -> tuple[list[Episode], list[Episode]]:
    """The episodes to show: those behind the verdicts, or without any score those at the start and the end."""
    judged = [step for step, _ in store.series(REWARD)]
    if has_verdicts:
        return store.episodes("evaluate", judged[0]), store.episodes("evaluate", judged[-1])
    after = [] if judged else store.episodes("evaluate", done)
    return (store.episodes("evaluate", 0), after) if after else ([], [])
