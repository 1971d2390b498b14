"""A request to an engine, the pieces of its answer, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from strop.types import Choices, Sampling, Tokens, shown

Finish: TypeAlias = Literal["stop", "length", "cancelled", "failed"]
"""stop: a stop token or string, or a whole choice; length: max_tokens or the context; else `Answer.reason` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is to be answered.

    prompt    its tokens, as `Codec.start` or `Codec.extend` make them
    sampling  the distribution that is drawn from; each request may have another
    seed      of this answer's own dice: the same seed gives the same text, alone or in a batch
    stop      texts that end the answer, which has what stands before the first of them
    choices   the tokens of which the answer is one, where `sampling` names texts
    top       how many of the likeliest tokens each piece names
    """

    prompt: Tokens
    sampling: Sampling
    seed: int
    stop: tuple[str, ...] = ()
    choices: Choices | None = None
    top: int = 0

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("prompt=(): it has at least 1 token; Codec.start makes them of a text.")
        if self.top < 0:
            raise ValueError(f"top={self.top}: it is 0 or above.")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: it is 0 or above.")
        if "" in self.stop:
            raise ValueError(
                f"stop={shown(self.stop)}: an empty text ends every answer before it begins; leave it out."
            )
        if callable(self.sampling.temperature) or callable(self.sampling.epsilon):
            raise ValueError("sampling still holds a Schedule; resolve it with sampling.at(step) first.")


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of an answer, its log-prob in nats under the distribution that it was drawn from, and the text that is
    certain since: empty while a character is incomplete, or while what stands there may begin a stop string.

    top  the likeliest tokens that could have been drawn in its place, with their log-probs, the likeliest first
    """

    token: int
    logprob: float
    text: str
    top: tuple[tuple[int, float], ...] = ()


class Busy(RuntimeError):
    """As many requests wait as may. `retry_after`: the seconds that the last one that began had waited, at least 1."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} requests wait already; ask again in {retry_after} s.")
        self.retry_after = retry_after


class Closed(RuntimeError):
    """The engine accepts no more requests."""
