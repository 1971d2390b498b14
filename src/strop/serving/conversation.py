"""A conversation in tokens: what the policy wrote is kept as ids, and each message goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from strop.samplers.local import LocalSampler
from strop.serving.actor import Actor
from strop.types import Message, Prompt, Tokens
from strop.words import plural


@dataclass(frozen=True, slots=True)
class Reply:
    """What the policy says. `room` is set where the context left its answer fewer tokens than were asked for."""

    text: str
    room: int | None


class ContextFull(ValueError):
    """What was said leaves the policy no room to answer."""


@dataclass(slots=True)
class Conversation:
    """`prompt` and `said` are the tokens so far: what stood before the last answer, and that answer."""

    actor: Actor
    system: str
    rng: np.random.Generator
    prompt: Tokens = ()
    said: Tokens = ()

    @classmethod
    def begin(cls, actor: Actor, system: str | None, changes: Mapping[str, Any], seed: int | None) -> Conversation:
        """A new one; `changes` are fields of the sampling."""
        actor = replace(actor, sampling=replace(actor.sampling, **changes))
        return cls(actor, system or "", np.random.default_rng(seed))

    def answer(self, text: str) -> Reply:
        """What the policy says. A text that it cannot read raises ValueError and leaves the conversation as it was."""
        prompt = self._next(text)
        room, sampling = self._room(prompt), self.actor.sampling
        if room is not None:
            sampling = replace(sampling, max_tokens=room)
        sampler = LocalSampler(self.actor.policy, self.actor.codec.stop)
        completion = sampler.sample([prompt], sampling, [self.rng])[0]
        self.prompt, self.said = prompt, completion.tokens
        return Reply(self.actor.codec.decode(completion.tokens), room)

    def start_over(self) -> None:
        """Forget what was said."""
        self.prompt = self.said = ()

    def _next(self, text: str) -> Tokens:
        codec, context = self.actor.codec, self.actor.policy.context
        prompt = codec.extend(self.prompt, self.said, text) if self.prompt else codec.start(self._first(text))
        if context is not None and len(prompt) >= context:
            advice = "start a new conversation" if self.prompt else "say it shorter"
            raise ContextFull(
                f"the context is full: {plural(len(prompt), 'token')} would stand, and the policy reads {context} with "
                f"the answer; {advice}."
            )
        return prompt

    def _room(self, prompt: Tokens) -> int | None:
        """The tokens that the context has left for an answer, where they are fewer than it may have."""
        context = self.actor.policy.context
        if context is None or len(prompt) + self.actor.sampling.max_tokens <= context:
            return None
        return context - len(prompt)

    def _first(self, text: str) -> Prompt:
        if not self.system:
            return text
        return [Message(role="system", content=self.system), Message(role="user", content=text)]
