"""A frozen model behind an API that plays: as an opponent, as a baseline, or as what `strop eval` judges."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strop.endpoint.address import check_settings, check_url, key_of, require_client, without
from strop.endpoint.aside import run_aside
from strop.endpoint.attempts import attempted
from strop.endpoint.request import Failed, Reply, client_of, reply_of
from strop.functional.bounds import check_at_least, check_positive
from strop.types import Message, Observation, Task, Unanswered, check_fields, shown

if TYPE_CHECKING:
    from openai.resources.chat import AsyncCompletions


@dataclass(frozen=True, slots=True)
class Question:
    """Messages to be answered. `choices`: the texts of which the answer is one; `settings`: fields of this request."""

    messages: Sequence[Message]
    choices: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind an OpenAI-compatible API, asked in chats: one of a run's `baselines`, an opponent in
    `strop.environments.Against`, or what `strop eval URL` judges. Needs `strop[http]`.

    url              of the API, such as http://localhost:8000/v1; no key stands in it
    model            its name there
    key_env          the environment variable that holds the key; empty: the server wants none, or key_file holds it
    key_file         a file that holds the key alone
    settings         further fields of each request, such as {"temperature": 0, "max_tokens": 512}
    request_seconds  a request and its whole reply
    total_seconds    a question with every attempt and wait; below the run's `environment_seconds` for an opponent
    attempts         of a question: after 408, 409, 425, 429, 5xx, a broken connection, a time-out, a reply that cannot
                     be read, or a player's that is none of the choices, unless a seed would bring the same one again

    As a player it sees what players see: the text that was said last, and the choices. The key is read when it is
    asked; it stands in no config, record or message.
    """

    url: str
    model: str
    key_env: str = ""
    key_file: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.0, "max_tokens": 512})
    request_seconds: float = 20.0
    total_seconds: float = 50.0
    attempts: int = 4

    def __post_init__(self) -> None:
        check_fields(self)
        check_url("Endpoint.url", self.url)
        check_positive("Endpoint.request_seconds", self.request_seconds)
        check_positive("Endpoint.total_seconds", self.total_seconds)
        check_at_least("Endpoint.attempts", self.attempts, 1)
        if not self.model.strip():
            raise ValueError("Endpoint.model is empty: name the model as the server does.")
        if self.key_env and self.key_file:
            raise ValueError("Endpoint: give key_env or key_file, not both: there is one key.")
        check_settings("Endpoint", self.settings)
        require_client("Endpoint", "http")

    @property
    def name(self) -> str:
        """The model and where it is."""
        return f"{self.model} at {self.url}"

    def __call__(self, task: Task, seen: Observation) -> str:
        """The text of a turn; one of the choices where there are some. Raises ValueError, with the reason, where the
        endpoint gives none: the episode is then FAILED."""
        (found,) = self.replies([Question([Message(role="user", content=seen.text)], seen.choices)], at_once=1)
        if isinstance(found, Unanswered):
            raise ValueError(found.reason)
        return found.text

    def replies(self, questions: Sequence[Question], at_once: int) -> list[Reply | Unanswered]:
        """The reply to each question, in order; Unanswered where there is none, with the reason. Each has
        `total_seconds` from when it has its turn among `at_once`. Raises ValueError if the key cannot be read."""
        return run_aside(self._replies(questions, at_once, key_of("Endpoint", self.key_env, self.key_file)))

    async def _replies(self, questions: Sequence[Question], at_once: int, key: str) -> list[Reply | Unanswered]:
        turns = asyncio.Semaphore(at_once)
        async with client_of(self.url, key) as client:
            completions = client.chat.completions

            async def ask(question: Question) -> Reply | Unanswered:
                async with turns:
                    return await self._reply(completions, question, key)

            return await asyncio.gather(*map(ask, questions))

    async def _reply(self, completions: AsyncCompletions, question: Question, key: str) -> Reply | Unanswered:
        messages = with_choices(question.messages, question.choices)
        body = {**self.settings, **question.settings, "model": self.model, "messages": messages}

        async def attempt() -> Reply:
            reply = await reply_of(completions, body, self.request_seconds)
            if not question.choices:
                return reply
            text = chosen(reply.text, question.choices)
            if text is None:
                told = f"the reply {shown(reply.text)} is none of the {len(question.choices)} choices"
                raise Failed(told, is_final="seed" in body)
            return Reply(text, reply.tokens, reply.is_cut)

        deadline = asyncio.get_running_loop().time() + self.total_seconds
        try:
            return await attempted(attempt, asyncio.Semaphore(1), self.attempts, deadline, self.total_seconds)
        except Failed as failed:
            return Unanswered(f"the endpoint {self.name}: {without(key, failed.reason)}")


def with_choices(messages: Sequence[Message], choices: Sequence[str]) -> list[Message]:
    """The messages, of which the last names the choices where there are some."""
    if not choices:
        return list(messages)
    *before, last = messages
    told = f"{last['content']}\n\nAnswer with one of these, and nothing else: {', '.join(choices)}"
    return [*before, Message(role=last["role"], content=told)]


def chosen(text: str, choices: Sequence[str]) -> str | None:
    """The choice that a reply is, up to space around it; None where it is none of them."""
    return next((one for one in choices if one.strip() == text.strip()), None)
