"""Answers as OpenAI's API writes them, whole or in chunks.

Beside OpenAI's fields each choice has `inference_id`, by which feedback is given, and each answer `version` and
`conversation_id`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from strop.serving.ask import Piece
from strop.types import Tokens
from strop.web.answering import Given

Json: TypeAlias = "dict[str, Any]"


class Form(Protocol):
    """How the answers of one endpoint are written."""

    prefix: ClassVar[str]
    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    def whole(self, one: Given) -> Json:
        """The choice of a finished answer."""

    def opening(self, one: Given) -> list[Json]:
        """The choices before the first piece."""

    def piece(self, one: Given, piece: Piece) -> Json:
        """The choice of one piece."""

    def closing(self, one: Given) -> Json:
        """The choice after the last piece: why it ended."""


@dataclass(frozen=True, slots=True)
class ChatForm:
    """Choices of /v1/chat/completions. The log-probs are of all tokens but those of `stop`, which have no text.

    `decode` gives the texts of the likeliest tokens, each read alone; that of a stop token is empty.
    """

    stop: frozenset[int]
    has_logprobs: bool
    decode: Callable[[Tokens], str]
    prefix: ClassVar[str] = "chatcmpl"
    whole_object: ClassVar[str] = "chat.completion"
    chunk_object: ClassVar[str] = "chat.completion.chunk"

    def whole(self, one: Given) -> Json:
        """The choice with the whole message."""
        message = {"role": "assistant", "content": one.text, "refusal": None}
        return _choice(one, logprobs=self._logprobs(one.pieces), finish=one.answer.finish) | {"message": message}

    def opening(self, one: Given) -> list[Json]:
        """The role."""
        return [_choice(one) | {"delta": {"role": "assistant", "content": ""}}]

    def piece(self, one: Given, piece: Piece) -> Json:
        """The text of a piece."""
        return _choice(one, logprobs=self._logprobs([piece])) | {"delta": {"content": piece.text}}

    def closing(self, one: Given) -> Json:
        """An empty delta."""
        return _choice(one, finish=one.answer.finish) | {"delta": {}}

    def _logprobs(self, pieces: Sequence[Piece]) -> Json | None:
        if not self.has_logprobs:
            return None
        return {
            "content": [
                {
                    "token": piece.text,
                    "logprob": piece.logprob,
                    "bytes": list(piece.text.encode()),
                    "top_logprobs": [self._likely(token, logprob) for token, logprob in piece.top],
                }
                for piece in pieces
                if piece.token not in self.stop
            ],
            "refusal": None,
        }

    def _likely(self, token: int, logprob: float) -> Json:
        text = "" if token in self.stop else self.decode((token,))
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


@dataclass(frozen=True, slots=True)
class CompletionForm:
    """Choices of /v1/completions. The log-probs are of all tokens but those of `stop`, which have no text; with
    `has_tokens` of all tokens, whose ids stand beside them."""

    stop: frozenset[int]
    has_logprobs: bool
    has_tokens: bool = False
    prefix: ClassVar[str] = "cmpl"
    whole_object: ClassVar[str] = "text_completion"
    chunk_object: ClassVar[str] = "text_completion"

    def whole(self, one: Given) -> Json:
        """The choice with the whole text."""
        logprobs = self._logprobs(one.pieces, 0)
        choice = _choice(one, logprobs=logprobs, finish=one.answer.finish) | {"text": one.text}
        if self.has_tokens:
            tokens = [piece.token for piece in one.pieces]
            choice |= {"prompt_token_ids": list(one.ask.prompt), "token_ids": tokens}
        return choice

    def opening(self, one: Given) -> list[Json]:
        """Nothing: a completion has no role."""
        return []

    def piece(self, one: Given, piece: Piece) -> Json:
        """The text of a piece."""
        return _choice(one, logprobs=self._logprobs([piece], len(one.text) - len(piece.text))) | {"text": piece.text}

    def closing(self, one: Given) -> Json:
        """An empty text."""
        return _choice(one, finish=one.answer.finish) | {"text": ""}

    def _logprobs(self, pieces: Sequence[Piece], offset: int) -> Json | None:
        """`offset`: where in the text the first of these pieces stands, in characters."""
        if not self.has_logprobs:
            return None
        shown = [piece for piece in pieces if self.has_tokens or piece.token not in self.stop]
        offsets = []
        for piece in shown:
            offsets.append(offset)
            offset += len(piece.text)
        return {
            "tokens": [piece.text for piece in shown],
            "token_logprobs": [piece.logprob for piece in shown],
            "top_logprobs": None,
            "text_offset": offsets,
        }


def _choice(one: Given, logprobs: Json | None = None, finish: str | None = None) -> Json:
    return {"index": one.index, "inference_id": one.inference, "logprobs": logprobs, "finish_reason": finish}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all chunks of an answer share."""

    form: Form
    id: str
    model: str
    version: str
    conversation: str | None
    created: int

    @classmethod
    def of(cls, form: Form, given: Sequence[Given], model: str, version: str, conversation: str | None) -> Envelope:
        """For these answers, from now on."""
        name = given[0].inference.rpartition("-")[0]
        return cls(form, f"{form.prefix}-{name}", model, version, conversation, int(time.time()))

    def whole(self, given: Sequence[Given]) -> Json:
        """The body of an answer that is not streamed."""
        return self._around(self.form.whole_object, [self.form.whole(one) for one in given], usage=usage(given))

    def chunk(self, choices: Sequence[Json], usage: Json | None = None) -> Json:
        """One event of a stream."""
        return self._around(self.form.chunk_object, choices, usage)

    def _around(self, name: str, choices: Sequence[Json], usage: Json | None) -> Json:
        return {
            "id": self.id,
            "object": name,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.version,
            "version": self.version,
            "conversation_id": self.conversation,
            "choices": list(choices),
            "usage": usage,
        }


def usage(given: Sequence[Given]) -> Json:
    """The tokens of the prompts, each counted once, and of all answers."""
    read = sum(len(prompt) for prompt in {one.ask.prompt: None for one in given})
    written = sum(len(one.pieces) for one in given)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
