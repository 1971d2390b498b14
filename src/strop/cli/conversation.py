"""A conversation in tokens: what the policy wrote is kept as ids, and each message goes on from there."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from strop.cli.actors import Actor
from strop.cli.output import say
from strop.samplers.local import LocalSampler
from strop.types import Message, Prompt, Sampling, Tokens
from strop.words import plural

HELP = """\
/new   starts over: what was said is forgotten
/quit  ends, as Ctrl-D does; Ctrl-C stops an answer
/help  this"""
_COMMAND = re.compile(r"/[\w?-]*")


@dataclass(slots=True)
class Conversation:
    """`prompt` and `said` are the tokens so far: what stood before the last answer, and that answer."""

    actor: Actor
    system: str
    rng: np.random.Generator
    prompt: Tokens = ()
    said: Tokens = ()
    is_told: bool = False
    """Whether it was said that the context leaves less room than was asked for."""

    @classmethod
    def begin(cls, actor: Actor, system: str | None, changes: Mapping[str, Any], seed: int | None) -> Conversation:
        """A new one; `changes` are fields of the sampling."""
        actor = replace(actor, sampling=replace(actor.sampling, **changes))
        return cls(actor, system or "", np.random.default_rng(seed))

    def answer(self, text: str) -> str:
        """What the policy says. A text that it cannot read raises ValueError and leaves the conversation as it was."""
        prompt = self._next(text)
        sampler = LocalSampler(self.actor.policy, self.actor.codec.stop)
        completion = sampler.sample([prompt], self._fitting(prompt), [self.rng])[0]
        self.prompt, self.said = prompt, completion.tokens
        return self.actor.codec.decode(completion.tokens)

    def start_over(self) -> None:
        """Forget what was said."""
        self.prompt = self.said = ()

    def _next(self, text: str) -> Tokens:
        codec, room = self.actor.codec, self.actor.policy.context
        prompt = codec.extend(self.prompt, self.said, text) if self.prompt else codec.start(self._first(text))
        if room is not None and len(prompt) >= room:
            advice = "/new starts over" if self.prompt else "say it shorter"
            raise ValueError(
                f"the context is full: {plural(len(prompt), 'token')} would stand, and the policy reads {room} with "
                f"the answer; {advice}."
            )
        return prompt

    def _fitting(self, prompt: Tokens) -> Sampling:
        """The sampling, with an answer no longer than the context has room for."""
        sampling, context = self.actor.sampling, self.actor.policy.context
        if context is None or len(prompt) + sampling.max_tokens <= context:
            return sampling
        room = context - len(prompt)
        if not self.is_told:
            say(f"(the policy reads {context} tokens: answers end where they are full, now after {room})")
        self.is_told = True
        return replace(sampling, max_tokens=room)

    def _first(self, text: str) -> Prompt:
        if not self.system:
            return text
        return [Message(role="system", content=self.system), Message(role="user", content=text)]


def talk(conversation: Conversation) -> None:
    """Read, answer, until the person leaves. The answers are data; the rest is talk."""
    say(f"talking to {conversation.actor.name}; /help lists the commands, /quit or Ctrl-D ends")
    while True:
        print("\n> ", end="", file=sys.stderr, flush=True)
        try:
            text = input().strip()
        except (EOFError, KeyboardInterrupt):
            say("")
            return
        if text == "/quit":
            return
        if text == "/new":
            conversation.start_over()
            say("(a new conversation)")
        elif text in ("/help", "/?"):
            say(HELP)
        elif text and _COMMAND.fullmatch(text.split()[0]):
            say(f"there is no command {text.split()[0]}.\n{HELP}")
        elif text:
            _answer(conversation, text)


def _answer(conversation: Conversation, text: str) -> None:
    try:
        print(conversation.answer(text), flush=True)
    except ValueError as error:
        say(f"error: {error}")
    except KeyboardInterrupt:
        say("(stopped)")
