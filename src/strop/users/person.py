"""What every simulated person can do, in an environment and at the other end of a chat page alike.

A person is a frozen record, and a talk is the list of its messages: the person's have the role "user", the answers to
them "assistant", and others are not read. All that a person does depends on the talk and on the dice that are given, so
that any loop may hold the talk: a rollout, a server, a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from strop.types import Message

if TYPE_CHECKING:
    import numpy as np

Talk: TypeAlias = "Sequence[Message]"
Verdict: TypeAlias = "Literal['A', 'B', 'same', 'both bad']"


@runtime_checkable
class Person(Protocol):
    """A simulated person. `worth` is what they think, and nobody who learns may read it; all else is what they show."""

    @property
    def id(self) -> str:
        """A name, the same in every talk of theirs."""

    def write(self, talk: Talk, rng: np.random.Generator) -> str:
        """Their next message: the first one of an empty talk, else the reply to its last answer."""

    def is_over(self, talk: Talk) -> bool:
        """Whether they have no more than a last word to say to the last answer."""

    def worth(self, talk: Talk) -> float:
        """How much they like the last answer, without any noise; above 0 it is good."""

    def judge(self, talk: Talk, rng: np.random.Generator) -> bool:
        """A thumb for the last answer: True is up. It is wrong now and then."""

    def compare(self, talk: Talk, first: str, second: str, rng: np.random.Generator) -> Verdict:
        """Which of two answers to the talk they like better: the first is A."""

    def correct(self, talk: Talk, rng: np.random.Generator) -> str:
        """The answer to the last message of theirs that they would have liked best."""


def answers_of(talk: Talk) -> list[str]:
    """The texts that were answered so far. Raises ValueError where there is none."""
    found = [message["content"] for message in talk if message["role"] == "assistant"]
    if not found:
        raise ValueError("this talk has no answer yet: its messages of the role assistant are what a person judges.")
    return found


def unanswered(talk: Talk) -> list[Message]:
    """The talk up to the person's last message."""
    last = max((i for i, message in enumerate(talk) if message["role"] == "user"), default=-1)
    return list(talk[: last + 1])


def answered(talk: Talk, text: str) -> list[Message]:
    """The talk with this answer to the person's last message, in place of the one that stands there."""
    return [*unanswered(talk), Message(role="assistant", content=text)]
