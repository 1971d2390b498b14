"""A language model behind any OpenAI-compatible endpoint, which `Pairwise` and `Rubric` ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from strop import packages
from strop.endpoint.address import check_settings, check_url, key_of, require_client
from strop.functional.bounds import check_at_least, check_positive
from strop.rewards import _replies
from strop.rewards._asking import Asking
from strop.types import Message, Unscored, check_fields

T = TypeVar("T")
FILE = "judge.sqlite"
"""The replies, in strop's folder of the user's cache, where no other file is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a judge is waited for.

    request_seconds  a request and its whole reply: a server that drips is cut off too
    total_seconds    all questions of one call, that is of one group, with every attempt and wait; what has no reply by
                     then is Unscored. Keep it below the run's `reward_seconds`
    attempts         of a question: after 408, 409, 425, 429, 5xx, a broken connection, a time-out or a reply that
                     cannot be read. The wait before another doubles from half a second to 20, a part of it drawn; a
                     Retry-After is respected
    at_once          requests that are open at the same time
    """

    request_seconds: float = 30.0
    total_seconds: float = 120.0
    attempts: int = 4
    at_once: int = 8

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("Patience.request_seconds", self.request_seconds)
        check_positive("Patience.total_seconds", self.total_seconds)
        check_at_least("Patience.attempts", self.attempts, 1)
        check_at_least("Patience.at_once", self.at_once, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a judge may be asked, over all runs that share its file of replies; then answers are Unscored.

    requests  each attempt counts, and no kept reply
    tokens    as the server counts them, else a byte counts as one; those of requests already open come on top

    None is no limit.
    """

    requests: int | None = 5_000
    tokens: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("Budget.requests", self.requests, 0, none="no limit")
        check_at_least("Budget.tokens", self.tokens, 0, none="no limit")

    @property
    def limits(self) -> tuple[float, float]:
        """The most requests and tokens."""
        none = float("inf")
        return none if self.requests is None else self.requests, none if self.tokens is None else self.tokens

    def spent(self, so_far: _replies.Spent) -> str:
        """Why nothing more is asked."""
        return (
            f"the budget is spent: {so_far.requests:,} requests and {so_far.tokens:,} tokens of "
            f"Budget(requests={self.requests}, tokens={self.tokens}), over all runs with this cache"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A model that answers questions about texts: `Pairwise(judge)`, `Rubric(judge, ...)`. Needs `strop[judge]`.

    url       of the API, such as http://localhost:8000/v1; no key stands in it
    model     its name there
    key_env   the environment variable that holds the key; empty: the server wants none, or key_file holds it
    key_file  a file that holds the key alone
    settings  further fields of each request, such as {"temperature": 0, "max_tokens": 512}
    patience  time-outs, attempts, requests at once
    budget    the most requests and tokens
    cache     the file of the replies; empty: judge.sqlite in strop's folder of the user's cache. The same question gets
              the same reply without another request, so a run that is resumed gets the same rewards

    The key is read when the judge is asked; it stands in no config, record or message. It never raises for what a
    server does: a question without a reply that can be read is Unscored, with the reason.
    """

    url: str
    model: str
    key_env: str = ""
    key_file: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.0, "max_tokens": 512})
    patience: Patience = Patience()
    budget: Budget = Budget()
    cache: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        check_url("Judge.url", self.url)
        if not self.model.strip():
            raise ValueError("Judge.model is empty: name the model as the server does.")
        if self.key_env and self.key_file:
            raise ValueError("Judge: give key_env or key_file, not both: there is one key.")
        check_settings("Judge", self.settings)
        require_client("Judge", "judge")

    @property
    def name(self) -> str:
        """The model and where it is, as messages and the budget name it."""
        return f"{self.model} at {self.url}"

    def __call__(self, questions: Sequence[list[Message]], read: Callable[[str], T]) -> list[T | Unscored]:
        """What `read` makes of the reply to each question, in order; Unscored where no reply could be read.

        `read` raises ValueError for a reply that it cannot read, which is asked for again. Raises ValueError if the key
        or the file of replies cannot be read.
        """
        if not questions:
            return []
        with _replies.opened(self._file()) as replies:
            return asyncio.run(Asking(self, key_of("Judge", self.key_env, self.key_file), replies).all(questions, read))

    def spent(self) -> _replies.Spent:
        """The requests and tokens of this model at this url so far, over all runs that share the file of replies."""
        with _replies.opened(self._file()) as replies:
            return replies.spent(self.name)

    def _file(self) -> Path:
        return Path(self.cache).expanduser() if self.cache else packages.home() / FILE
