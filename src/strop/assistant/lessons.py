"""What feedback teaches, as tasks: thumbs for KTO, pairs for DPO and a judge, demonstrations for SFT, ratings for a
reward model.

| feedback | thumb | pair | demonstration | rating |
|---|---|---|---|---|
| thumb | the answer, or each answer of the conversation | | | |
| comparison with a better one | | the better over the other | | |
| demonstration | | over the answer that it corrects | yes | |
| rating | | | | good or bad: above or below the mean of what its person gives |

Of a person and an answer the last word counts. Comments teach people; "same" and "both bad" tell no order, nor does a
rating that is its person's mean: where one person's .7 is praise, another's is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from strop.assistant.feedback import FeedbackStore
from strop.assistant.records import Answered, Comparison, Feedback, last_words
from strop.types import Task
from strop.words import plural


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
    ratings: Sequence[Lesson] = ()

    @property
    def feedback(self) -> list[str]:
        """The ids of the feedback that they come from, each once, in order."""
        return list(dict.fromkeys(one.feedback for some in self.kinds.values() for one in some))

    @property
    def kinds(self) -> dict[str, Sequence[Lesson]]:
        """By the name of their kind."""
        return {
            "thumbs": self.thumbs,
            "pairs": self.pairs,
            "demonstrations": self.demonstrations,
            "ratings": self.ratings,
        }

    def __len__(self) -> int:
        return sum(map(len, self.kinds.values()))

    def __str__(self) -> str:
        return ", ".join(plural(len(some), name.removesuffix("s")) for name, some in self.kinds.items() if some)


def lessons_of(store: FeedbackStore, feedback: Iterable[Feedback]) -> Lessons:
    """What this feedback teaches."""
    thumbs, pairs, demonstrations, ratings = list[Lesson](), list[Lesson](), list[Lesson](), list[Lesson]()
    last = last_words(list(feedback))
    usual = _usual_ratings(last)
    for one in last:
        match one.kind:
            case "thumb":
                thumbs += _thumbs(one, _spoken_of(store, one))
            case "comparison":
                pairs += _of_comparison(store, one)
            case "demonstration":
                answer = _spoken_of(store, one)[-1]
                demonstrations.append(_demonstration(one, answer))
                pairs += _of_demonstration(one, answer)
            case "rating":
                ratings += _ratings(one, usual[one.rater], _spoken_of(store, one))
    return Lessons(thumbs, pairs, demonstrations, ratings)


def liked(lessons: Lessons) -> list[Lesson]:
    """What people wrote, and the answers that they liked, as demonstrations; of each person each text once.

    Not what the same person also thumbed down, or liked less than another answer.
    """
    chosen = [_written(one, "chosen") for one in lessons.pairs]
    thumbed = [_written(one, "completion") for one in lessons.thumbs if one.task.data["label"]]
    disliked = [_written(one, "completion") for one in lessons.thumbs if not one.task.data["label"]]
    disliked += [_written(one, "rejected") for one in lessons.pairs]
    found = {_said(one): one for one in (*lessons.demonstrations, *chosen, *thumbed)}
    left_out = set(map(_said, disliked))
    return [one for said, one in found.items() if said not in left_out]


def _said(lesson: Lesson) -> tuple[str, str, str]:
    return lesson.rater, str(lesson.task.prompt), lesson.task.answer


def _written(lesson: Lesson, column: str) -> Lesson:
    task = lesson.task
    return Lesson(Task(f"{task.id}-liked", task.prompt, str(task.data[column])), lesson.feedback, lesson.rater)


def _usual_ratings(feedback: Sequence[Feedback]) -> dict[str, float]:
    """The mean rating of each person."""
    given = dict[str, list[float]]()
    for one in feedback:
        if one.kind == "rating":
            assert isinstance(one.value, int | float)
            given.setdefault(one.rater, []).append(one.value)
    return {rater: mean(values) for rater, values in given.items()}


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


def _ratings(one: Feedback, usual: float, answers: Sequence[Answered]) -> list[Lesson]:
    """Each answer as one step that is good or bad, as a process reward model reads it."""
    assert isinstance(one.value, int | float)
    if one.value == usual:
        return []
    return [
        _lesson(one, f"{one.id}-rated-{place}", answer, {"steps": [answer.text], "labels": [one.value > usual]})
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
