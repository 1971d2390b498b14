"""Tasks that ask the same thing: within a list, or on both sides of a split, where they leak.

Prompts that are equal but for case, spaces and the marks of sentences are twins. So are those that share enough of
their runs of two words or signs, by the Jaccard similarity, where a run weighs the more the fewer prompts hold it: many
prompts share instructions, and ask different things behind them, such as the capital of Peru and that of Chad. None is
missed (`data.alike`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from strop.data.alike import SLACK, candidates, runs_of
from strop.data.cleaning import cleaned
from strop.data.progress import Tell, to_stderr
from strop.types import Task
from strop.types.display import beginning
from strop.words import plural

NEAR = 0.8
MARKS = re.compile(r"[.,;:!?…\"'“”‘’«»]+(?=\s|$)|(?<!\S)[\"'“‘«]+|[、。，；：！？「」《》]+")
"""Marks of sentences. The point of 3.5 is none, and the signs of sums and programs are not either."""
FEW = 3
"""A run in so many prompts weighs no less than one in a single prompt: twins share their runs."""
SHOWN = 5
"""Twins that are shown when they are taken out."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A task that asks what another one asks.

    similarity  of the prompts; 1 where they differ in case, spaces and the marks of sentences alone
    """

    task: Task
    of: Task
    similarity: float

    @property
    def shown(self) -> str:
        """Both tasks in one line: `'7' and '31' (92 % alike): 'Is it so?' | 'Is it really so?'`."""
        texts = " | ".join(beginning(prompt_text(task), 60) for task in (self.task, self.of))
        return f"{self.task.id!r} and {self.of.id!r} ({100.0 * self.similarity:.0f} % alike): {texts}"

    def __repr__(self) -> str:
        return f"<Twins {self.shown}>"


def near_duplicates(tasks: Sequence[Task], near: float = NEAR) -> list[Twin]:
    """Each task whose prompt is like an earlier one's. No task that it is a twin `of` is a twin itself.

    near  prompts are alike from this similarity; 1 takes those that differ in case, spaces and marks alone
    """
    _check(near)
    keys = _keys(tasks)
    first = _first(keys)
    prompts, places = _Prompts(list(first)), list(first.values())
    like: dict[int, tuple[int, float]] = {}
    for earlier, later in prompts.candidates(range(len(places)), range(len(places)), near):
        if earlier < later and not (places[earlier] in like or places[later] in like):
            similar = prompts.similarity(earlier, later)
            if similar >= near - SLACK:
                like[places[later]] = (places[earlier], similar)
    twins = list[Twin]()
    for place, key in enumerate(keys):
        if first[key] in like:
            of, similar = like[first[key]]
            twins.append(Twin(tasks[place], tasks[of], similar))
        elif first[key] != place:
            twins.append(Twin(tasks[place], tasks[first[key]], 1.0))
    return twins


def leaks(tasks: Sequence[Task], held_out: Sequence[Task], near: float = NEAR) -> list[Twin]:
    """Each of the `tasks` whose prompt is like that of a held-out one, which it is a twin `of`.

    near  as in `near_duplicates`
    """
    _check(near)
    keys, known = _keys(tasks), _first(_keys(held_out))
    found = {key: (held_out[known[key]], 1.0) for key in keys if key in known}
    others = list(dict.fromkeys(key for key in keys if key not in known))
    prompts, places = _Prompts([*known, *others]), list(known.values())
    for one, other in prompts.candidates(range(len(known)), range(len(known), len(known) + len(others)), near):
        key = others[other - len(known)]
        if key not in found and (similar := prompts.similarity(one, other)) >= near - SLACK:
            found[key] = (held_out[places[one]], similar)
    return [Twin(task, *found[key]) for task, key in zip(tasks, keys, strict=True) if key in found]


def without(tasks: Sequence[Task], twins: Sequence[Twin], tell: Tell = to_stderr) -> list[Task]:
    """The tasks but those that are twins of another; tells how many these are, and shows some.

    Raises ValueError for a twin that is not among the tasks.
    """
    ids = {task.id for task in tasks}
    if strange := next((twin for twin in twins if twin.task.id not in ids), None):
        raise ValueError(
            f"the twin {strange.task.id!r} is not among these tasks: leaks(tasks, held_out) finds those of tasks."
        )
    removed = {twin.task.id for twin in twins}
    lines = [f"{len(removed):,} of {plural(len(tasks), 'task')} taken out, since another asks the same:"]
    lines += [f"  {twin.shown}" for twin in twins[:SHOWN]]
    lines += [f"  and {len(twins) - SHOWN:,} more"] if len(twins) > SHOWN else []
    if twins:
        tell("\n".join(lines))
    return [task for task in tasks if task.id not in removed]


def prompt_text(task: Task) -> str:
    """What a task asks, as one text."""
    return task.prompt if isinstance(task.prompt, str) else "\n".join(message["content"] for message in task.prompt)


def _check(near: float) -> None:
    if not 0.0 < near <= 1.0:
        raise ValueError(f"near={near}: it is a similarity above 0 and at most 1.")


def _keys(tasks: Sequence[Task]) -> list[str]:
    """The prompts without regard to case, spaces and the marks of sentences."""
    return [_key(cleaned(prompt_text(task)).text.casefold()) for task in tasks]


def _key(text: str) -> str:
    return " ".join(MARKS.sub(" ", text).split()) or text


def _first(keys: Sequence[str]) -> dict[str, int]:
    """Each key and the first place where it stands."""
    first: dict[str, int] = {}
    for place, key in enumerate(keys):
        first.setdefault(key, place)
    return first


class _Prompts:
    """The runs of different prompts, and what each weighs: log((N + 3) / the number of the N prompts that hold it)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._runs = runs_of(texts, signs=True)
        _, which, counts = np.unique(
            np.concatenate([np.zeros(0, np.uint64), *self._runs]), return_inverse=True, return_counts=True
        )
        ends = np.cumsum([len(one) for one in self._runs])[:-1]
        self._weights = np.split(self._weigh(counts)[which], ends) if texts else []

    def _weigh(self, counts: np.ndarray) -> np.ndarray:
        return np.asarray(np.log((len(self._runs) + FEW) / np.maximum(counts, FEW)))

    def candidates(self, ones: range, others: range, near: float) -> Iterator[tuple[int, int]]:
        """Pairs of prompts that may be as similar as `near`, in the order of the others."""
        return candidates(self._runs, ones, others, near, self._weigh) if near < 1.0 else iter(())

    def similarity(self, one: int, other: int) -> float:
        """The weight of the runs that are in both, as a share of that of all their runs."""
        both = self._weights[one][np.isin(self._runs[one], self._runs[other], assume_unique=True)].sum()
        return float(both / (self._weights[one].sum() + self._weights[other].sum() - both))
