"""What feedback teaches, as tasks: thumbs for KTO, pairs for DPO and reward models, demonstrations for SFT.

| feedback | thumb | pair | demonstration |
|---|---|---|---|
| thumb | the answer, or each answer of the conversation | | |
| comparison with a better one | | the better over the other | |
| demonstration | | over the answer that it corrects | yes |

Of a person and an answer the last word counts. Comments teach people; "same" and "both bad" tell no order; ratings are
kept, and nothing learns from them yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strop.assistant.feedback import FeedbackStore
from strop.assistant.records import Answered, Comparison, Feedback, last_words
from strop.types import Task


@dataclass(frozen=True, slots=True)
class Lesson:
    """A task to learn from, whose data are in the columns of `strop.data`, and where it comes from."""

    task: Task
    feedback: str
    rater: str


@dataclass(frozen=True, slots=True)
class Lessons:
    """Lessons of each kind, in the order of the feedback."""

    thumbs: Sequence[Lesson] = ()
    pairs: Sequence[Lesson] = ()
    demonstrations: Sequence[Lesson] = ()

    @property
    def feedback(self) -> list[str]:
        """The ids of the feedback that they come from, each once, in order."""
        every = (*self.thumbs, *self.pairs, *self.demonstrations)
        return list(dict.fromkeys(one.feedback for one in every))


def lessons_of(store: FeedbackStore, feedback: Iterable[Feedback]) -> Lessons:
    """What this feedback teaches."""
    thumbs, pairs, demonstrations = list[Lesson](), list[Lesson](), list[Lesson]()
    for one in last_words(list(feedback)):
        match one.kind:
            case "thumb":
                thumbs += _thumbs(one, _spoken_of(store, one))
            case "comparison":
                pairs += _of_comparison(store, one)
            case "demonstration":
                answer = _spoken_of(store, one)[-1]
                demonstrations.append(_demonstration(one, answer))
                pairs += _of_demonstration(one, answer)
    return Lessons(thumbs, pairs, demonstrations)


def _spoken_of(store: FeedbackStore, one: Feedback) -> list[Answered]:
    """The answer, or all answers of the conversation."""
    if one.inference is not None:
        return [store.answer(one.inference)]
    assert one.conversation is not None
    return store.conversation(one.conversation)


def _thumbs(one: Feedback, answers: Sequence[Answered]) -> list[Lesson]:
    return [
        _lesson(one, f"{one.id}-{place}", answer, {"completion": answer.text, "label": one.value})
        for place, answer in enumerate(answers)
        if answer.text
    ]


def _of_comparison(store: FeedbackStore, one: Feedback) -> list[Lesson]:
    assert isinstance(one.value, Comparison)
    if one.value.better is None:
        return []
    a, b = store.answer(one.value.a), store.answer(one.value.b)
    chosen, rejected = (a, b) if one.value.better == a.inference else (b, a)
    return _pair(one, chosen, chosen.text, rejected.text)


def _demonstration(one: Feedback, answer: Answered) -> Lesson:
    return Lesson(Task(one.id, answer.prompt, str(one.value)), one.id, one.rater)


def _of_demonstration(one: Feedback, answer: Answered) -> list[Lesson]:
    return _pair(one, answer, str(one.value), answer.text)


def _pair(one: Feedback, answer: Answered, chosen: str, rejected: str) -> list[Lesson]:
    """A pair of two texts that differ, and of which none is empty."""
    if not chosen or not rejected or chosen == rejected:
        return []
    return [_lesson(one, f"{one.id}-pair", answer, {"chosen": chosen, "rejected": rejected})]


def _lesson(one: Feedback, id: str, answer: Answered, data: dict[str, object]) -> Lesson:
    return Lesson(Task(id, answer.prompt, data=data), one.id, one.rater)
