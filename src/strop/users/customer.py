"""Someone whose device or account does not work: they tell what they see, try what they are told, and lose patience."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from strop.types import check_fields, shown
from strop.users.hand import Hand
from strop.users.person import Talk, Verdict, answered, answers_of, unanswered
from strop.users.phrases import Phrases, Wording, check_language, check_wording, one_of, part_of, phrases_of
from strop.users.problems import AREAS, FIXES, HANDOVER, PRAISE, QUESTIONS
from strop.users.taste import Taste
from strop.users.temper import TEMPERS

if TYPE_CHECKING:
    import numpy as np

SOLVES, FINDS_OUT, USELESS = 2.0, 1.0, -1.0
"""What an answer is worth that mends it, that asks the question which tells the cause, and that does neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A person with a hidden problem. They do the first thing that an answer says, and read no further.

    id        a name
    language  en or zh
    area      what they have trouble with: `strop.users.problems.AREAS`
    cause     one of the area's, which they do not know
    temper    how they write: plain, formal, hurried or vain
    taste     what they like
    patience  answers that they wait for; one that says again what was said, or nothing, takes two
    hand      how often their thumbs err
    wording   whose words they use: those of training, development or held-out people
    """

    id: str
    area: str
    cause: str
    language: Literal["en", "zh"] = "en"
    temper: str = "plain"
    taste: Taste = field(default_factory=Taste)
    patience: int = 5
    hand: Hand = field(default_factory=Hand)
    wording: Wording = "train"

    def __post_init__(self) -> None:
        check_fields(self)
        check_language(self.language)
        check_wording(self.wording)
        if self.area not in AREAS:
            raise ValueError(f"area={shown(self.area)}: it is one of {', '.join(AREAS)}.")
        if self.cause not in AREAS[self.area].fixes:
            raise ValueError(f"cause={shown(self.cause)}: in {self.area} it is {', '.join(AREAS[self.area].fixes)}.")
        if self.temper not in TEMPERS:
            raise ValueError(f"temper={shown(self.temper)}: it is one of {', '.join(TEMPERS)}.")
        if self.patience < 1:
            raise ValueError(f"patience={self.patience}: they wait for 1 answer or more.")

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Customer:
        """The customer of these facts, as `facts` gives them."""
        return cls(**{**facts, "taste": Taste(**facts["taste"]), "hand": Hand(**facts["hand"])})

    def facts(self) -> dict[str, Any]:
        """All that is hidden, as JSON can hold it."""
        return dataclasses.asdict(self)

    def write(self, talk: Talk, rng: np.random.Generator) -> str:
        """What they see; then what came of the last answer, and last words where it is over."""
        if not unanswered(talk):
            return self._first(rng)
        moves = self.moves(talk)
        if self.is_solved(talk):
            return one_of(rng, self.phrases.solved)
        if self.is_over(talk):
            return one_of(rng, self.phrases.left)
        if moves[-1] == AREAS[self.area].question:
            return one_of(rng, part_of(self.phrases.answers[self.area][self.cause], self.wording))
        return one_of(rng, self.phrases.replies[_kind(moves[-1])])

    def is_over(self, talk: Talk) -> bool:
        """Whether they were helped, are out of patience, or were handed over."""
        moves = self.moves(talk)
        heard = self._heard(moves)
        return self.fix in heard or HANDOVER in heard or _cost(heard) >= self.patience

    def is_solved(self, talk: Talk) -> bool:
        """Whether they were told what mends it, while they waited."""
        return self.fix in self._heard(self.moves(talk))

    def worth(self, talk: Talk) -> float:
        """What the last answer brought them, and how it was said."""
        text, moves = answers_of(talk)[-1], self.moves(talk)
        manner = self.taste.of(text, self.phrases) if _is_new(moves, len(moves) - 1) else 0.0
        return self._progress(moves) + manner

    def judge(self, talk: Talk, rng: np.random.Generator) -> bool:
        """A thumb for the last answer."""
        return self.hand.thumb(self.worth(talk), rng)

    def compare(self, talk: Talk, first: str, second: str, rng: np.random.Generator) -> Verdict:
        """Which of two answers they like better."""
        worths = [self.worth(answered(talk, text)) for text in (first, second)]
        return self.hand.comparison(worths[0], worths[1], rng)

    def correct(self, talk: Talk, rng: np.random.Generator) -> str:
        """The question that tells the cause, or what mends it where that was asked, in the manner they like."""
        question = AREAS[self.area].question
        was_asked = question in self.moves(unanswered(talk))
        return self.phrases.said(self.fix if was_asked else question, self.taste.wants_courtesy)

    @property
    def fix(self) -> str:
        """The move that mends it."""
        return AREAS[self.area].fixes[self.cause]

    @property
    def phrases(self) -> Phrases:
        """The words of their language."""
        return phrases_of(self.language)

    def moves(self, talk: Talk) -> list[str | None]:
        """What each answer meant to them."""
        return [self.phrases.move_of(message["content"]) for message in talk if message["role"] == "assistant"]

    def _first(self, rng: np.random.Generator) -> str:
        phrases = self.phrases
        subject = one_of(rng, part_of(phrases.subjects[self.area], self.wording))
        trouble = one_of(rng, part_of(phrases.troubles[self.area], self.wording))
        told = phrases.told.format(subject=subject, trouble=trouble)
        text = one_of(rng, phrases.frames[self.temper]).format(told=told)
        return text[0].upper() + text[1:]

    def _heard(self, moves: list[str | None]) -> list[str | None]:
        """The moves until they were handed over, or out of patience."""
        for place, move in enumerate(moves, 1):
            if move == HANDOVER or _cost(moves[:place]) >= self.patience:
                return moves[:place]
        return moves

    def _progress(self, moves: list[str | None]) -> float:
        if moves[-1] == self.fix:
            return SOLVES
        is_telling = moves[-1] == AREAS[self.area].question and _is_new(moves, len(moves) - 1)
        return FINDS_OUT if is_telling else USELESS


def _is_new(moves: list[str | None], place: int) -> bool:
    """Whether an answer says something, and that for the first time."""
    return moves[place] is not None and moves[place] not in moves[:place]


def _cost(moves: list[str | None]) -> int:
    """The patience that these answers take."""
    return sum(1 if _is_new(moves, place) else 2 for place in range(len(moves)))


def _kind(move: str | None) -> str:
    """What an answer that found out and mended nothing did."""
    if move in QUESTIONS:
        return "asked"
    if move in FIXES:
        return "tried"
    return PRAISE if move == PRAISE else "puzzled"
