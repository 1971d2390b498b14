"""A conversation in the place of tokens: what an endpoint that chats is played with, which takes messages and no ids.

Where a policy's prompt is token ids, this one's are the bytes of its messages as JSON; what it wrote is the bytes of a
text and an end. So whatever plays and scores a policy plays and scores an endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.endpoint.endpoint import Endpoint, Question, chosen, with_choices
from strop.endpoint.fields import sampling_fields
from strop.types import Choices, Completion, Message, Policy, Prompt, Sampling, Tokens, Unanswered, messages_of

if TYPE_CHECKING:
    import numpy as np

END = 256
"""The token behind the bytes of a text."""
AT_ONCE = 8
"""Questions that are open at the same time."""
SEEDS = 2**31
"""Seeds that every server knows lie below."""
ROOM = 64
"""Tokens that a reply may have beyond the bytes of its longest choice, where it is to be one of a few."""


class Transcripts:
    """The codec."""

    stop: frozenset[int] = frozenset({END})
    end: int | None = END

    def start(self, prompt: Prompt) -> Tokens:
        """The bytes of the messages."""
        return tuple(json.dumps(messages_of(prompt)).encode())

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The same with the answer and what was said to it."""
        answer = Message(role="assistant", content=self.decode(completion))
        return tuple(json.dumps([*self.messages(prompt), answer, *messages_of(reply)]).encode())

    def messages(self, prompt: Tokens) -> list[Message]:
        """The messages again."""
        found: list[Message] = json.loads(bytes(prompt))
        return found

    def encode(self, text: str) -> Tokens:
        """The bytes of a text; halves of characters, which have none, become question marks."""
        return tuple(text.encode(errors="replace"))

    def decode(self, tokens: Tokens) -> str:
        """The text."""
        return bytes(token for token in tokens if token != END).decode(errors="replace")


class ChatSampler:
    """The sampler: it asks the endpoint, whose log-probs are unknown (None). A reply has at most `max_tokens` of the
    endpoint's own tokens, and never fewer than its longest choice needs; the sampling's are of the codec."""

    def __init__(self, endpoint: Endpoint, codec: Transcripts, max_tokens: int) -> None:
        self.endpoint, self.codec, self.max_tokens = endpoint, codec, max_tokens

    def publish(self, policy: Policy) -> None:
        """Nothing to do: the model behind an API stays as it is."""

    def sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None] = (),
    ) -> list[Completion | Unanswered]:
        """The endpoint's answer to each conversation, with the temperature, top_p and a seed of its own dice.

        Where there are choices, an answer that is none of them stays what it is, for whatever scores it.
        """
        fields = sampling_fields(sampling)
        allowed = choices or [None] * len(prompts)
        questions = [
            Question(
                with_choices(self.codec.messages(prompt), self._texts(one)),
                settings={**fields, "max_tokens": self._limit(one), "seed": int(rng.integers(SEEDS))},
            )
            for prompt, one, rng in zip(prompts, allowed, rngs, strict=True)
        ]
        found = self.endpoint.replies(questions, AT_ONCE)
        return [
            reply if isinstance(reply, Unanswered) else self._completion(reply.text, reply.is_cut, one)
            for reply, one in zip(found, allowed, strict=True)
        ]

    def _limit(self, choices: Choices | None) -> int:
        """No token has less than a byte."""
        return self.max_tokens if choices is None else max(self.max_tokens, choices.longest + ROOM)

    def _texts(self, choices: Choices | None) -> tuple[str, ...]:
        return () if choices is None else tuple(map(self.codec.decode, choices.tokens))

    def _completion(self, text: str, is_cut: bool, choices: Choices | None) -> Completion:
        if choices is not None and (choice := chosen(text, self._texts(choices))) is not None:
            return Completion(choices.tokens[self._texts(choices).index(choice)], None, "stop")
        tokens = self.codec.encode(text)
        return Completion(tokens, None, "length") if is_cut else Completion((*tokens, END), None, "stop")
