"""Which of two versions people like better, who compared them; and which people are left to a judge."""

from __future__ import annotations

import zlib
from collections.abc import Container, Sequence
from dataclasses import dataclass

from strop.assistant.feedback import FeedbackStore
from strop.assistant.gate import LOSS, TIE, WIN
from strop.assistant.records import Comparison, last_words
from strop.assistant.shares import first_of_each


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcomes of comparisons for a new version, and who compared, in words. `flaw` says why they do not count."""

    outcomes: Sequence[float]
    who: str
    flaw: str = ""


def by_people(
    store: FeedbackStore,
    new: int,
    old: int,
    held: Container[str] = (),
    share: float = 1.0,
    exempt: Sequence[str] = (),
) -> Judged:
    """What people said who compared answers of both versions. "Both bad" is a tie, too.

    held    ids that do not count
    share   the most that one person has of the outcomes, but for those in `exempt`: each person's first ones count
    """
    found = list[tuple[str, float]]()
    for one in last_words(store.feedback("comparison", new)):
        assert isinstance(one.value, Comparison)
        versions = {name: store.answer(name).version for name in (one.value.a, one.value.b)}
        if set(versions.values()) == {new, old} and one.id not in held:
            better = one.value.better
            found.append((one.rater, TIE if better is None else WIN if versions[better] == new else LOSS))
    return Judged(first_of_each(found, share, exempt), "people")


def judges(rater: str, share: float) -> bool:
    """Whether a person is one of those from whom the judge learns: always the same, whoever else there is."""
    return zlib.crc32(f"judge {rater}".encode()) < share * 2**32
