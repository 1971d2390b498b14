"""How far each person agrees with those who are trusted, and with all others, where they judged the same.

The same are two thumbs for equal answers to equal questions, and two comparisons of equal pairs of answers, whoever was
given them when: so people who never saw each other's conversations can be compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from strop.assistant.feedback import FeedbackStore
from strop.assistant.pair_store import key_of
from strop.assistant.records import Answered, Comparison, Feedback, last_words
from strop.intervals import proportion

HOSTILE = 0.5
"""Who is shown to agree with others in less than this share of what both judged says the opposite of what they say."""

Judged = tuple[str, ...]
Words = Mapping[Judged, Mapping[str, str]]
"""What was said of the same, by the person."""
Spoken = Mapping[str, Sequence[Answered]]
"""The answers of which a piece of feedback speaks, by its id."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Of `number` judgements, which others made too, as many as `same` say what they say."""

    same: int = 0
    number: int = 0

    @property
    def is_hostile(self) -> bool:
        """Whether they are shown to say the opposite: all of the 95 % interval is below HOSTILE."""
        return self.number > 0 and proportion(self.same, self.number)[1] < HOSTILE

    def __str__(self) -> str:
        return f"{self.same} of {self.number} judgements that both made"


@dataclass(frozen=True, slots=True)
class Agreements:
    """How far a person agrees with the trusted raters, and with most of all others."""

    trusted: Shared = Shared()
    others: Shared = Shared()


def agreements_of(feedback: Sequence[Feedback], spoken: Spoken, trusted: Sequence[str]) -> dict[str, Agreements]:
    """By person, but for those who are trusted. Who is shown to disagree with the trusted is none of the others."""
    words = _words(feedback, spoken)
    people = sorted({name for said in words.values() for name in said} - set(trusted))
    by_trusted = {name: _shared(words, name, lambda other: other in trusted) for name in people}
    hostile = {name for name, found in by_trusted.items() if found.is_hostile}
    return {
        name: Agreements(by_trusted[name], _shared(words, name, lambda other: other not in hostile)) for name in people
    }


def _words(feedback: Sequence[Feedback], spoken: Spoken) -> Words:
    """What people said of the same things; only what tells good from bad."""
    found = defaultdict[Judged, dict[str, str]](dict)
    for one in last_words(feedback):
        for judged, word in _judgements(one, spoken[one.id]):
            found[judged][one.rater] = word
    return found


def _judgements(one: Feedback, answers: Sequence[Answered]) -> Iterable[tuple[Judged, str]]:
    """What a piece of feedback is on, and what it says of it."""
    if one.kind == "thumb":
        for answer in answers:
            yield ("thumb", key_of(answer.messages), answer.text), str(one.value)
    elif isinstance(one.value, Comparison) and one.value.better is not None:
        a, b = answers
        better = a if one.value.better == a.inference else b
        yield ("pair", key_of(a.messages), *sorted((a.text, b.text))), better.text


def _shared(words: Words, name: str, counts: Callable[[str], bool]) -> Shared:
    """How far a person says what most of those say who count; where these are divided, nothing is known."""
    same = number = 0
    for said in words.values():
        others = Counter(word for other, word in said.items() if other != name and counts(other))
        if name in said and (most := _most(others)) is not None:
            number += 1
            same += said[name] == most
    return Shared(same, number)


def _most(words: Counter[str]) -> str | None:
    """The word that more than half say."""
    [(word, number)] = words.most_common(1) or [("", 0)]
    return word if 2 * number > words.total() else None


def answers_of(store: FeedbackStore, one: Feedback) -> list[Answered]:
    """The answers that a piece of feedback speaks of."""
    if isinstance(one.value, Comparison):
        return [store.answer(one.value.a), store.answer(one.value.b)]
    if one.inference is not None:
        return [store.answer(one.inference)]
    assert one.conversation is not None
    return store.conversation(one.conversation)
