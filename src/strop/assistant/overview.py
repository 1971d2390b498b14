"""The facts about an assistant: its versions, what waits to be learnt, and how far its people can be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from strop.assistant.believed import believing
from strop.assistant.canary import Canary, Standing, read_canary
from strop.assistant.feedback import FeedbackStore
from strop.assistant.gate import Reason as Against
from strop.assistant.gate import Verdict
from strop.assistant.home import Assistant
from strop.assistant.lessons import lessons_of
from strop.assistant.pairs import REASONS, Duel, Reason, reason_of
from strop.assistant.queue import waiting
from strop.assistant.raters import Agreement, agreement, position_bias
from strop.assistant.versions import Retired
from strop.intervals import Interval

Status = Literal["serves", "served", "refused", "waiting", "promoted", "retired"]


@dataclass(frozen=True, slots=True)
class Line:
    """One version. `changed` of `questions` fixed ones it answers otherwise than its parent.

    reasons  why the numbers of a verdict that refused do not open the gate; none where the judge was refused
    """

    version: int
    status: Status
    parent: int | None
    origin: str
    feedback: int
    replayed: int
    changed: int
    questions: int
    verdict: Verdict | None
    reasons: Sequence[Against]
    retired: Retired | None


@dataclass(frozen=True, slots=True)
class Overview:
    """An assistant at one glance.

    counts      answers, and feedback of each kind
    not_kept    answers to people who did not agree to have them kept
    lessons     new ones by what they are for, and how many learning takes
    margin      by how much a guarded skill may fall
    compared    comparisons so far of the version that waits with the one that serves; None if none waits
    queue       pairs of answers that are to be compared, by why
    canary      the share of conversations that the version which waits answers, if it does or did
    standing    how it is liked, and the version that serves
    held        pieces of feedback in quarantine, by why
    bias        the share of comparisons in which the first was chosen
    agreements  Krippendorff's alpha of thumbs and of comparisons
    """

    path: str
    serving: int
    versions: Sequence[Line]
    counts: Mapping[str, int]
    not_kept: int
    lessons: Mapping[str, int]
    fewest_lessons: int
    compared: int | None
    comparisons: int
    margin: float
    queue: Mapping[Reason, int]
    canary: Canary | None
    standing: Standing | None
    held: Mapping[str, int]
    bias: Interval
    agreements: Mapping[str, Agreement]


def overview_of(assistant: Assistant) -> Overview:
    """Read from its files; no model is loaded. Raises ValueError if the folder is no assistant."""
    settings, versions = assistant.settings, assistant.versions
    with assistant.feedback() as store, store.reading():
        feedback, believed = store.feedback(), believing(assistant, store)
        held = believed.held()
        waits = [one for one in waiting(versions, feedback) if one.id not in held]
        lessons = believed.shared(lessons_of(store, waits))
        candidate = versions.open_candidate()
        compared = None if candidate is None else len(believed.by_people(candidate, versions.serving).outcomes)
        canary = read_canary(assistant.path)
        if canary is not None and (canary.version, canary.beside) != (candidate, versions.serving):
            canary = None
        return Overview(
            path=str(assistant.path),
            serving=versions.serving,
            versions=[_line(assistant, number) for number in versions.numbers()],
            counts=store.counts(),
            not_kept=store.not_kept(),
            lessons={name: len(some) for name, some in lessons.kinds.items()},
            fewest_lessons=settings.fewest_lessons,
            compared=compared,
            comparisons=settings.comparisons,
            margin=settings.margin,
            queue=queue_of(store, None if candidate is None else (candidate, versions.serving)),
            canary=canary,
            standing=None if canary is None else believed.standing(canary),
            held=dict(Counter(one.reason for one in held.values())),
            bias=position_bias(feedback),
            agreements={kind: agreement(feedback, kind) for kind in ("thumb", "comparison")},
        )


def queue_of(store: FeedbackStore, duel: Duel) -> dict[Reason, int]:
    """How many pairs of answers are to be compared, by why."""
    found = Counter(reason_of(pair, duel) for pair in store.pairs.all())
    return {reason: found[reason] for reason in REASONS}


def _line(assistant: Assistant, number: int) -> Line:
    versions, manifest, settings = assistant.versions, assistant.versions.manifest(number), assistant.settings
    diff, verdict = versions.diff(number) if manifest.retired is None else [], manifest.verdict
    is_refused = verdict is not None and not verdict.promote
    return Line(
        version=number,
        status=_status(assistant, number),
        parent=manifest.parent,
        origin=manifest.origin,
        feedback=len(manifest.feedback),
        replayed=len(manifest.replayed),
        changed=sum(one["before"] != one["after"] for one in diff) if manifest.parent is not None else 0,
        questions=len(diff),
        verdict=verdict,
        reasons=verdict.reasons(settings.comparisons, settings.margin) if verdict and is_refused else (),
        retired=manifest.retired,
    )


def _status(assistant: Assistant, number: int) -> Status:
    versions = assistant.versions
    verdict = versions.manifest(number).verdict
    if versions.manifest(number).retired is not None:
        return "retired"
    if number == versions.serving:
        return "serves"
    if number in versions.history:
        return "served"
    if verdict is None:
        return "waiting" if number == versions.open_candidate() else "refused"
    return "promoted" if verdict.promote else "refused"
