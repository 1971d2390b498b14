"""Ask a judge many questions at once: each one's reading, or Unscored with the reason, within a total time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from strop.endpoint.address import without
from strop.endpoint.attempts import attempted
from strop.endpoint.request import Failed, client_of, reply_of
from strop.rewards._replies import Replies
from strop.types import Message, Unscored

if TYPE_CHECKING:
    from openai.resources.chat import AsyncCompletions

    from strop.rewards.judge import Judge

T = TypeVar("T")


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
        return f"the judge {self.judge.name}: {without(self.key, reason)}"


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
        patience = self.asking.judge.patience
        try:
            return await attempted(
                partial(self._attempt, read), self.turns, patience.attempts, self.deadline, patience.total_seconds
            )
        except Failed as failed:
            return Unscored(self.asking.told(failed.reason))

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


def _name(url: str, body: Mapping[str, Any]) -> str:
    """A question's name in the file of replies: everything on which its reply depends."""
    return hashlib.sha256(json.dumps([url, body], sort_keys=True).encode()).hexdigest()
