"""That no one person steers: of what a version learns from, and of the comparisons at the gate, nobody has more than a
share, where there are people enough to hold them to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from strop.assistant.lessons import Lesson, Lessons

T = TypeVar("T")


def most_each(counts: Mapping[Hashable, int], share: float) -> int:
    """The most of one person, so that nobody has more than `share` of what is left: the largest c with c <= share * the
    sum of min(count, c). Fewer than 1 / share people are not held to it, since nobody could be."""
    largest = max(counts.values(), default=0)
    if len(counts) * share < 1.0:
        return largest
    return next(c for c in range(largest, -1, -1) if c <= share * sum(min(n, c) for n in counts.values()) + 1e-9)


def capped(lessons: Lessons, share: float, exempt: Sequence[str]) -> Lessons:
    """The lessons, of each person the oldest feedback up to their share; what is left out waits for later rounds.

    Ratings have a share of their own, since they alone teach the reward model that RLOO climbs. People in `exempt`
    have all of theirs, and do not count.
    """
    groups = (("thumbs", "pairs", "demonstrations"), ("ratings",))
    kept = lessons
    for names in groups:
        some = [one for name in names for one in lessons.kinds[name] if one.rater not in exempt]
        allowed = _allowed(some, share)
        for name in names:
            left = [one for one in lessons.kinds[name] if one.rater in exempt or one.feedback in allowed]
            kept = replace(kept, **{name: left})
    return kept


def _allowed(lessons: Sequence[Lesson], share: float) -> set[str]:
    """The ids of the feedback whose lessons are within their person's share."""
    sizes = Counter(one.feedback for one in lessons)
    most = most_each(Counter(one.rater for one in lessons), share)
    used, found = defaultdict[str, int](int), set[str]()
    for rater, feedback in dict.fromkeys((one.rater, one.feedback) for one in lessons):
        if used[rater] + sizes[feedback] <= most:
            used[rater] += sizes[feedback]
            found.add(feedback)
    return found


def first_of_each(items: Sequence[tuple[str, T]], share: float, exempt: Sequence[str] = ()) -> list[T]:
    """What people said, in order, of each person the first up to their share; items are (person, what)."""
    most, used = most_each(Counter(person for person, _ in items if person not in exempt), share), Counter[str]()
    found = list[T]()
    for person, what in items:
        used[person] += 1
        if used[person] <= most or person in exempt:
            found.append(what)
    return found
