"""What an assistant keeps: answers, and what people say of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from strop.types import Message, Prompt, check_fields, prompt_flaw, prompt_of, shown

Kind: TypeAlias = Literal["thumb", "rating", "comment", "demonstration", "comparison"]
Choice: TypeAlias = Literal["A", "B", "same", "both bad"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CHOICES: tuple[Choice, ...] = get_args(Choice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer that was given.

    inference     its id, which every front end is told
    conversation  the id of the conversation that it belongs to
    version       of the assistant; None for an answer that came from elsewhere, by an import
    messages      what it answers: all messages before it
    text          the answer; empty where there was none, as before an imported demonstration
    tokens        the ids that were sampled
    logprobs      one per token, in nats, of the distribution that it was drawn from; empty if not known
    seed          of its dice; None if not known
    when          seconds since 1970, UTC
    rater         the person that it was given to
    """

    inference: str
    conversation: str
    version: int | None
    messages: Sequence[Message]
    text: str
    tokens: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    seed: int | None = None
    when: float
    rater: str = ""

    def __post_init__(self) -> None:
        for name in ("messages", "tokens", "logprobs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.inference or not self.conversation:
            raise ValueError(f"Answered {self.inference!r}: inference and conversation are ids, and not empty.")
        if flaw := prompt_flaw(list(self.messages)):
            raise ValueError(f"Answered {self.inference}: {flaw}.")
        if self.messages[-1]["role"] == "assistant":
            raise ValueError(f"Answered {self.inference}: the last message is the assistant's, so it answers nothing.")
        if self.logprobs and len(self.logprobs) != len(self.tokens):
            raise ValueError(
                f"Answered {self.inference}: {len(self.tokens)} tokens and {len(self.logprobs)} log-probs; one each."
            )

    @property
    def prompt(self) -> Prompt:
        """The messages as a task's prompt."""
        return prompt_of(self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two answers to the same messages, compared without knowing where they come from.

    a, b         their inferences
    choice       A (a is better), B, same, or both bad
    shown_first  which of them stood first; None if that is not known
    """

    a: str
    b: str
    choice: Choice
    shown_first: Literal["A", "B"] | None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.a == self.b:
            raise ValueError(f"a comparison of {self.a} with itself: it is of two answers.")
        if self.choice not in CHOICES:
            raise ValueError(f"choice={shown(self.choice)}: it is one of {', '.join(CHOICES)}.")
        if self.shown_first not in ("A", "B", None):
            raise ValueError(f"shown_first={shown(self.shown_first)}: it is A, B, or None if that is not known.")

    @property
    def better(self) -> str | None:
        """The inference that was chosen, if one was."""
        return {"A": self.a, "B": self.b}.get(self.choice)


Value: TypeAlias = bool | float | str | Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a person says of an answer, of a conversation, or of two answers.

    kind   thumb: True is up. rating: from 0 to 1. comment: a text. demonstration: the answer that should have been.
           comparison: a `Comparison`, which names its answers itself
    when   seconds since 1970, UTC
    """

    id: str
    kind: Kind
    inference: str | None
    conversation: str | None
    value: Value
    rater: str
    when: float

    def __post_init__(self) -> None:
        check_value(self.kind, self.value)
        named = [name for name in (self.inference, self.conversation) if name is not None]
        if self.kind == "comparison" and named:
            raise ValueError("a comparison names its two answers: leave inference and conversation out.")
        if self.kind != "comparison" and len(named) != 1:
            raise ValueError(f"a {self.kind} is of one answer or of one conversation: give inference or conversation.")
        if not self.rater:
            raise ValueError("rater is empty: it names the person, so that what several say can be told apart.")

    @property
    def target(self) -> tuple[str, ...]:
        """What it speaks of, whichever of two answers stood first."""
        if isinstance(self.value, Comparison):
            return ("comparison", *sorted((self.value.a, self.value.b)))
        return (self.kind, f"inference {self.inference}" if self.inference else f"conversation {self.conversation}")


def check_value(kind: str, value: object) -> None:
    """Raise ValueError for a kind that there is not, or a value that it does not take."""
    if kind not in KINDS:
        raise ValueError(f"kind={shown(kind)}: it is one of {', '.join(KINDS)}.")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits, wanted = {
        "thumb": (isinstance(value, bool), "True for up or False for down"),
        "rating": (is_number and math.isfinite(value) and 0.0 <= value <= 1.0, "a number from 0 to 1"),  # type: ignore[arg-type,operator]
        "comment": (isinstance(value, str) and bool(value.strip()), "a text that is not empty"),
        "demonstration": (isinstance(value, str) and bool(value.strip()), "a text that is not empty"),
        "comparison": (isinstance(value, Comparison), "a strop.assistant.Comparison"),
    }[kind]
    if not fits:
        raise ValueError(f"{kind}={shown(value)}: it is {wanted}.")


def last_words(feedback: Sequence[Feedback]) -> list[Feedback]:
    """Of each person and answer the last of each kind, since people change their minds; order is kept. Comments all
    count."""
    last = {(one.rater, one.target, one.id if one.kind == "comment" else ""): one for one in feedback}
    kept = {one.id for one in last.values()}
    return [one for one in feedback if one.id in kept]
