"""A conversation in tokens: answers are kept as sampled ids, and each message continues them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from strop.choices import Choosing
from strop.samplers.local import LocalSampler
from strop.serving.actor import Actor
from strop.types import Choices, Message, Prompt, Sampling, Task, Tokens
from strop.words import plural


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the policy. `limit` is how many tokens the context allowed, if fewer than max_tokens."""

    text: str
    limit: int | None


class ContextFull(ValueError):
    """The conversation leaves no tokens for an answer."""


@dataclass(slots=True)
class Conversation:
    """A dialogue with an actor: `answered` are the tokens of its last answer, `prompt` all tokens before that."""

    actor: Actor
    system: str
    rng: np.random.Generator
    prompt: Tokens = ()
    answered: Tokens = ()

    @classmethod
    def begin(cls, actor: Actor, system: str | None, changes: Mapping[str, Any], seed: int | None) -> Conversation:
        """A new conversation; `changes` replace fields of the sampling."""
        actor = replace(actor, sampling=replace(actor.sampling, **changes))
        return cls(actor, system or "", np.random.default_rng(seed))

    def answer(self, text: str) -> Reply:
        """The policy's answer to a text. A text that it cannot read raises ValueError and changes nothing."""
        prompt = self._next(text)
        limit, sampling = self._limit(prompt), self.actor.sampling
        if limit is not None:
            sampling = replace(sampling, max_tokens=limit)
        sampler = LocalSampler(self.actor.policy, self.actor.codec.stop)
        completion = sampler.sample([prompt], sampling, [self.rng], [self._choices(sampling)])[0]
        self.prompt, self.answered = prompt, completion.tokens
        return Reply(self.actor.codec.decode(completion.tokens), limit)

    def _choices(self, sampling: Sampling) -> Choices | None:
        """What the answer may be. Raises ValueError where only a task could say."""
        if isinstance(sampling.choices, str) and sampling.choices:
            raise ValueError(
                f"the actions of this policy are choices that each task gives (sampling.choices={sampling.choices!r}), "
                "so it cannot chat: strop show RUN shows its episodes."
            )
        return Choosing(self.actor.codec, sampling).of(Task("conversation", ""))

    def start_over(self) -> None:
        """Begin with an empty conversation."""
        self.prompt = self.answered = ()

    def _next(self, text: str) -> Tokens:
        codec, context = self.actor.codec, self.actor.policy.context
        prompt = codec.extend(self.prompt, self.answered, text) if self.prompt else codec.start(self._first(text))
        if context is not None and len(prompt) >= context:
            advice = "start a new conversation" if self.prompt else "write a shorter message"
            raise ContextFull(
                f"the context is full: the conversation has {plural(len(prompt), 'token')}, and the context is "
                f"{context} with the answer; {advice}."
            )
        return prompt

    def _limit(self, prompt: Tokens) -> int | None:
        """The tokens that the context leaves for an answer, if they are fewer than max_tokens."""
        context = self.actor.policy.context
        if context is None or len(prompt) + self.actor.sampling.max_tokens <= context:
            return None
        return context - len(prompt)

    def _first(self, text: str) -> Prompt:
        if not self.system:
            return text
        return [Message(role="system", content=self.system), Message(role="user", content=text)]
