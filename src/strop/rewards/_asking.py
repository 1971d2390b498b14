"""Ask a judge many questions at once: each one's reading, or Unscored with the reason, within a total time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from strop.rewards._endpoint import Failed, client_of, reply_of
from strop.rewards._replies import Replies
from strop.types import Message, Unscored
from strop.words import plural

if TYPE_CHECKING:
    from openai.resources.chat import AsyncCompletions

    from strop.rewards.judge import Judge

T = TypeVar("T")
FIRST_SECONDS, LONGEST_SECONDS = 0.5, 20.0
"""Before the second attempt, doubled for each further one; and at most."""
MOST_CHARS = 300
"""Of what a server says about a failure."""
_jitter = random.Random()
"""Dice of its own: a run's are restored when it resumes."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One call of a judge. `key` is the secret: it is sent, and struck out of whatever is kept or told."""

    judge: Judge
    key: str
    replies: Replies

    async def all(self, questions: Sequence[list[Message]], read: Callable[[str], T]) -> list[T | Unscored]:
        """What `read` makes of the reply to each question, in order. The same question is asked once."""
        loop = asyncio.get_running_loop()
        turns = asyncio.Semaphore(self.judge.patience.at_once)
        bodies = {_name(self.judge.url, body): body for body in map(self._body, questions)}
        async with client_of(self.judge.url, self.key) as client:
            completions = client.chat.completions  # the client loads itself here, which is no wait for the server
            deadline = loop.time() + self.judge.patience.total_seconds
            asked = [_Question(self, name, body, completions, turns, deadline) for name, body in bodies.items()]
            found = await asyncio.gather(*(one.reading(read) for one in asked))
        by_name = dict(zip(bodies, found, strict=True))
        return [by_name[_name(self.judge.url, self._body(question))] for question in questions]

    def _body(self, messages: list[Message]) -> dict[str, Any]:
        return {**self.judge.settings, "model": self.judge.model, "messages": messages}

    def told(self, reason: str) -> str:
        """The reason with the judge's name, and without its key."""
        plain = reason.replace(self.key, "***") if self.key else reason
        short = plain if len(plain) <= MOST_CHARS else f"{plain[:MOST_CHARS]}..."
        return f"the judge {self.judge.name}: {short}"


@dataclass(frozen=True, slots=True)
class _Question:
    """A question on its way. `deadline` is the time, of the loop's clock, at which all questions of a call end."""

    asking: Asking
    name: str
    body: Mapping[str, Any]
    completions: AsyncCompletions
    turns: asyncio.Semaphore
    deadline: float

    async def reading(self, read: Callable[[str], T]) -> T | Unscored:
        kept = self.asking.replies.find(self.name)
        if kept is not None:
            try:
                return read(kept)
            except ValueError:  # an earlier version could read it: it is asked again
                pass
        failures: list[str] = []
        try:
            async with asyncio.timeout_at(self.deadline):
                return await self._attempts(read, failures)
        except TimeoutError:
            last = failures[-1] if failures else "no reply, or no turn"
            total = self.asking.judge.patience.total_seconds
            return Unscored(self.asking.told(f"nothing within total_seconds={total:g}; last: {last}"))

    async def _attempts(self, read: Callable[[str], T], failures: list[str]) -> T | Unscored:
        """Attempt after attempt; `failures` says why each came to nothing."""
        attempts = self.asking.judge.patience.attempts
        while True:
            try:
                async with self.turns:
                    return await self._attempt(read)
            except Failed as failed:
                failures.append(failed.reason)
                if failed.is_final or len(failures) == attempts:
                    tried = f" ({plural(len(failures), 'attempt')})" if len(failures) > 1 else ""
                    return Unscored(self.asking.told(f"{failed.reason}{tried}"))
                wait = max(backoff_seconds(len(failures)), failed.wait)
                if self._left() < wait:
                    return Unscored(self.asking.told(f"{failed.reason}; the next attempt would be too late"))
            await asyncio.sleep(wait)

    async def _attempt(self, read: Callable[[str], T]) -> T:
        judge, replies = self.asking.judge, self.asking.replies
        if not replies.reserve(judge.name, *judge.budget.limits):
            raise Failed(judge.budget.spent(replies.spent(judge.name)), is_final=True)
        reply = await reply_of(self.completions, self.body, judge.patience.request_seconds)
        replies.add_tokens(judge.name, reply.tokens)
        try:
            found = read(reply.text)
        except ValueError as error:
            raise Failed(f"a reply that cannot be read: {error}: {reply.text[:80]!r}") from None
        replies.keep(self.name, reply.text)
        return found

    def _left(self) -> float:
        return self.deadline - asyncio.get_running_loop().time()


def backoff_seconds(failures: int) -> float:
    """The wait after so many failures: it doubles, and half of it is drawn, so that many askers do not come at once."""
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    return longest * _jitter.uniform(0.5, 1.0)


def _name(url: str, body: Mapping[str, Any]) -> str:
    """A question's name in the file of replies: everything on which its reply depends."""
    return hashlib.sha256(json.dumps([url, body], sort_keys=True).encode()).hexdigest()
