"""A canary: a version that waits answers a share of the conversations, and gives it back where people like it less.

Of each conversation the first thumb or rating counts that is not in quarantine, of an answer that was given since the
canary began. The means of
both versions have limits that hold at every moment at once (`strop.functional.betting`); where all that may be true of
the canary is below all that may be true of the other one, it is worse. So of a version that is as good, this is said
with probability ALPHA at most, however often one looks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from strop.assistant.feedback import FeedbackStore
from strop.assistant.records import Feedback
from strop.functional.betting import anytime_limits
from strop.intervals import Interval
from strop.runs.files import replace_text, writing
from strop.words import plural

FILE = "canary.json"
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Kept in canary.json.

    version  the one that waits
    beside   the one that serves
    share    of the conversations that it answers
    since    when it began, in seconds since 1970
    ended    why it answers none any more; empty while it does
    """

    version: int
    beside: int
    share: float
    since: float
    ended: str = ""

    def takes(self, conversation: str) -> bool:
        """Whether it answers this conversation: always the same, whatever else is asked."""
        return not self.ended and self.picks(conversation)

    def picks(self, conversation: str) -> bool:
        """Whether this is one of its conversations, also after it has ended."""
        drawn = hashlib.sha256(f"canary {self.version} {conversation}".encode()).digest()[:8]
        return int.from_bytes(drawn) < self.share * 2**64


@dataclass(frozen=True, slots=True)
class Standing:
    """How both versions are liked: the mean score of a conversation, from 0 to 1, and the number of conversations."""

    new: Interval
    new_conversations: int
    old: Interval
    old_conversations: int

    @property
    def is_worse(self) -> bool:
        """Whether the canary is shown to be liked less."""
        return self.new.high < self.old.low

    def __str__(self) -> str:
        new, old = (plural(number, "conversation") for number in (self.new_conversations, self.old_conversations))
        return f"liked {self.new} in {new}, against {self.old} in {old}"


def begun(folder: Path, version: int, beside: int, share: float, now: float) -> Canary | None:
    """The canary of a version with this share: one that began before, or began and ended, or a new one.

    It is written down. None with a share of 0, where none began before.
    """
    before = read_canary(folder)
    if before is None or (before.version, before.beside) != (version, beside):
        if not share:
            return None
        before = Canary(version=version, beside=beside, share=share, since=now)
    canary = replace(before, share=before.share if before.ended else share)
    write_canary(folder, canary)
    return canary


def standing(store: FeedbackStore, canary: Canary, held: Container[str] = ()) -> Standing:
    """How both versions are liked so far; `held`: the ids of what does not count."""
    found = _Scores(store, canary)
    for one in store.scores(canary.since):
        if one.id not in held:
            found.add(one)
    new, old = list(found.new.values()), list(found.old.values())
    return Standing(interval_of(new), len(new), interval_of(old), len(old))


@dataclass(frozen=True, slots=True)
class _Scores:
    """The first score of each conversation, by its version."""

    store: FeedbackStore
    canary: Canary
    new: dict[str, float] = field(default_factory=dict)
    old: dict[str, float] = field(default_factory=dict)

    def add(self, one: Feedback) -> None:
        """Take what a person said, if it is of one of the two, and of a conversation that was dealt to it."""
        assert isinstance(one.value, float | int)
        for conversation, version in self._of(one).items():
            scores = self.new if self.canary.picks(conversation) else self.old
            wanted = self.canary.version if scores is self.new else self.canary.beside
            if version == wanted:
                scores.setdefault(conversation, float(one.value))

    def _of(self, one: Feedback) -> Mapping[str, int | None]:
        """The conversation and the version of which this is said; none where several versions answered it."""
        if one.inference is not None:
            answers = [self.store.answer(one.inference)]
        else:
            assert one.conversation is not None
            answers = self.store.conversation(one.conversation)
        if any(answer.when < self.canary.since for answer in answers) or len({one.version for one in answers}) > 1:
            return {}
        return {answers[0].conversation: answers[0].version}


def read_canary(folder: Path) -> Canary | None:
    """The canary of an assistant's folder, or of the version before; None if there was none."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        return Canary(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} cannot be read: {error}. Delete it: the canary begins again.") from error


def write_canary(folder: Path, canary: Canary) -> None:
    """Replace canary.json."""
    with writing(FILE, folder):
        replace_text(folder / FILE, json.dumps(asdict(canary)) + "\n")


def interval_of(values: list[float]) -> Interval:
    """The mean of such scores, with limits that hold at every moment at once."""
    mean = sum(values) / len(values) if values else 0.5
    return Interval(mean, *anytime_limits(values, ALPHA))
