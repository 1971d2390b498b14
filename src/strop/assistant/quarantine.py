"""Feedback that nothing is learnt from, and why: it is kept, shown, and given back where that was wrong.

Whether a piece is in quarantine is worked out anew whenever it is asked, from all that was said and from
quarantine.json, which holds what somebody decided by hand: nothing is deleted, and what looks bad today may not do so
tomorrow.

| reason | what |
|---|---|
| withheld | by hand |
| disagrees | all that a person says who is shown to disagree with the trusted raters more often than not |
| outlier | all that a person says who is shown to disagree with the others in most of what both judged |
| repeats | a correction with the same text as those of two or more other questions of this person |
| same question | what one person says of one question in more than four conversations |
| hurried | more of one person within a minute than `most_a_minute` |

Trusted raters (`trusted` in assistant.json), and what was imported, are never in quarantine, unless by hand.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from strop.assistant.feedback import FeedbackStore
from strop.assistant.judgements import Agreements, Spoken, agreements_of, answers_of
from strop.assistant.pair_store import key_of
from strop.assistant.records import Feedback
from strop.assistant.settings import Settings
from strop.runs.files import replace_text, writing

Reason: TypeAlias = Literal["withheld", "disagrees", "outlier", "repeats", "same question", "hurried"]
FILE, FORMAT = "quarantine.json", 1
MOST_QUESTIONS = 2
"""To so many questions one person may write the same correction."""
MOST_TIMES = 4
"""In so many conversations, at the most, a person's word on one and the same question counts."""
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Held:
    """A piece of feedback in quarantine, and why, in words."""

    feedback: Feedback
    reason: Reason
    why: str


@dataclass(frozen=True, slots=True)
class ByHand:
    """What somebody decided: ids of feedback, or names of people. An id goes before a name."""

    released: Sequence[str] = ()
    withheld: Sequence[str] = ()

    def of(self, one: Feedback) -> Literal["released", "withheld", ""]:
        """What was decided of this piece."""
        for name in (one.id, one.rater):
            if name in self.released:
                return "released"
            if name in self.withheld:
                return "withheld"
        return ""

    def release(self, names: Sequence[str]) -> ByHand:
        """These are learnt from, whatever they look like."""
        return replace(self.reset(names), released=[*self.reset(names).released, *names])

    def withhold(self, names: Sequence[str]) -> ByHand:
        """These are not learnt from."""
        return replace(self.reset(names), withheld=[*self.reset(names).withheld, *names])

    def reset(self, names: Sequence[str]) -> ByHand:
        """Nothing is decided of these by hand."""
        return ByHand(*([one for one in some if one not in names] for some in (self.released, self.withheld)))


def read_by_hand(folder: Path) -> ByHand:
    """What was decided by hand. Raises ValueError for a file that cannot be read."""
    file = folder / FILE
    if not file.is_file():
        return ByHand()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return ByHand(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read: {error}. Put a copy of it back, or delete it.") from error


def write_by_hand(folder: Path, decided: ByHand) -> None:
    """Replace quarantine.json. Its caller holds the assistant's lock."""
    text = json.dumps({"format": FORMAT, "released": list(decided.released), "withheld": list(decided.withheld)})
    with writing(FILE, folder):
        replace_text(folder / FILE, text + "\n")


def quarantined(
    store: FeedbackStore,
    feedback: Sequence[Feedback],
    settings: Settings,
    decided: ByHand,
    evidence: Sequence[Feedback] | None = None,
) -> dict[str, Held]:
    """What is in quarantine of this feedback, by id and in order.

    evidence  by which it is found who disagrees with others; by default all of it
    """
    spoken = {one.id: answers_of(store, one) for one in feedback}
    found = {one.id: Held(one, "withheld", "by hand") for one in feedback if decided.of(one) == "withheld"}
    for one, reason, why in _suspects(feedback, feedback if evidence is None else evidence, spoken, settings):
        is_imported = all(answer.version is None for answer in spoken[one.id])
        if not decided.of(one) and one.rater not in settings.trusted and not is_imported:
            found.setdefault(one.id, Held(one, reason, why))
    return {one.id: found[one.id] for one in feedback if one.id in found}


Suspect: TypeAlias = "tuple[Feedback, Reason, str]"


def _suspects(
    feedback: Sequence[Feedback], evidence: Sequence[Feedback], spoken: Spoken, settings: Settings
) -> Iterable[Suspect]:
    """What looks bad, the heaviest reason first."""
    yield from _by_person(feedback, agreements_of(evidence, spoken, settings.trusted))
    yield from _repeated(feedback, spoken)
    yield from _same_question(feedback, spoken)
    yield from _hurried(feedback, settings.most_a_minute)


def _by_person(feedback: Sequence[Feedback], people: Mapping[str, Agreements]) -> Iterable[Suspect]:
    """All of people who disagree with those who are trusted, or with the others."""
    for one in feedback:
        found = people.get(one.rater)
        if found is not None and found.trusted.is_hostile:
            yield one, "disagrees", f"{one.rater} agrees with the trusted raters in {found.trusted}"
        elif found is not None and found.others.is_hostile:
            yield one, "outlier", f"{one.rater} agrees with the others in {found.others}"


def _repeated(feedback: Sequence[Feedback], spoken: Spoken) -> Iterable[Suspect]:
    """Corrections that one person writes to many questions: they answer none of them."""
    texts = defaultdict[tuple[str, str], list[Feedback]](list)
    for one in feedback:
        if one.kind == "demonstration":
            texts[one.rater, " ".join(str(one.value).casefold().split())].append(one)
    for (rater, _), some in texts.items():
        questions = {question for one in some for question in _questions(one, spoken)}
        if len(questions) > MOST_QUESTIONS:
            for one in some:
                yield one, "repeats", f"{rater} writes the same to {len(questions)} questions"


def _same_question(feedback: Sequence[Feedback], spoken: Spoken) -> Iterable[Suspect]:
    """What one person says of many answers to one question, but for the first few."""
    seen = defaultdict[tuple[str, str], set[str]](set)
    for one in feedback:
        if one.kind == "comment":
            continue
        for question in _questions(one, spoken):
            targets = seen[one.rater, question]
            new = {answer.conversation for answer in spoken[one.id]} - targets
            if len(targets) + len(new) > MOST_TIMES:
                yield one, "same question", f"{one.rater} speaks of it in more than {MOST_TIMES} conversations"
            else:
                targets |= new


def _questions(one: Feedback, spoken: Spoken) -> list[str]:
    """What the answers of which a piece of feedback speaks were given to."""
    return list(dict.fromkeys(key_of(answer.messages) for answer in spoken[one.id]))


def _hurried(feedback: Sequence[Feedback], most: int) -> Iterable[Suspect]:
    """What comes faster than a person can read."""
    recent = defaultdict[str, deque[float]](deque)
    for one in sorted(feedback, key=lambda one: one.when):
        times = recent[one.rater]
        times.append(one.when)
        while times[0] <= one.when - MINUTE:
            times.popleft()
        if len(times) > most:
            yield one, "hurried", f"{one.rater} said {len(times)} things within a minute"
