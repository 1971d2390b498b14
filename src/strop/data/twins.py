"""Tasks that ask the same thing: within a list, or on both sides of a split, where they leak.

Two prompts are compared by their runs of two words or signs, by the Jaccard similarity, and none is missed
(`data.alike`). Prompts that are equal but for case, spaces and the marks of sentences are twins whatever they hold.
Else runs that more prompts share than the square root of their number count as a template, and liken none to another:
"What is the capital of Peru?" and "What is the capital of Chad?" ask different things. It also bounds the work.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strop.data.alike import SLACK, candidates, first_alike, runs_of
from strop.data.cleaning import cleaned
from strop.data.near import jaccard
from strop.data.progress import Tell, to_stderr
from strop.types import Task
from strop.types.display import beginning
from strop.words import plural

NEAR = 0.8
MARKS = re.compile(r"[.,;:!?…\"'“”‘’«»]+(?=\s|$)|(?<!\S)[\"'“‘«]+|[、。，；：！？「」《》]+")
"""Marks of sentences. The point of 3.5 is none, and the signs of sums and programs are not either."""
FEWEST = 3
"""Prompts that may share a run, however few there are, before it counts as a template's."""
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

    near  prompts are alike from this Jaccard similarity; 1 takes those that differ in case, spaces and marks alone
    """
    _check(near)
    keys = _keys(tasks)
    first = _first(keys)
    like = _like_earlier(list(first), near) if near < 1.0 else {}
    places = list(first.values())
    alike = {places[later]: (places[earlier], similar) for later, (earlier, similar) in like.items()}
    twins = list[Twin]()
    for place, key in enumerate(keys):
        if first[key] in alike:
            of, similar = alike[first[key]]
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
    if near < 1.0:
        others = list(dict.fromkeys(key for key in keys if key not in known))
        runs = _telling(runs_of([*known, *others], signs=True))
        places = list(known.values())
        for other, (one, similar) in first_alike(runs[: len(known)], runs[len(known) :], near).items():
            found[others[other]] = (held_out[places[one]], similar)
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


def _like_earlier(texts: Sequence[str], near: float) -> dict[int, tuple[int, float]]:
    """{index of a text: (that of an earlier one that is like it, and like none before; how similar they are)}."""
    runs = _telling(runs_of(texts, signs=True))
    found: dict[int, tuple[int, float]] = {}
    for earlier, later in candidates(runs, runs, near):
        if earlier >= later or earlier in found or later in found:
            continue
        if (similar := jaccard(runs[earlier], runs[later])) >= near - SLACK:
            found[later] = (earlier, similar)
    return found


def _telling(runs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The runs of each prompt that are not of a template."""
    if not runs:
        return []
    _, which, counts = np.unique(np.concatenate(runs), return_inverse=True, return_counts=True)
    is_telling = counts[which] <= max(FEWEST, math.sqrt(len(runs)))
    ends = np.cumsum([len(one) for one in runs])
    return [one[is_telling[end - len(one) : end]] for one, end in zip(runs, ends.tolist(), strict=True)]
