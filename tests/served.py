"""A served policy for tests: a tiny one from scratch, behind the app alone or behind a socket in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import strop
from strop.assistant.feedback import FILE, FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.memory import FILE as MEMORY
from strop.assistant.memory import MemoryStore
from strop.serving.actor import Actor
from strop.serving.engine import Engine
from strop.web.guard import Limits
from strop.web.served import Served
from strop.web.server import address_of, listening, server

WORDS = ("hello", "good", "day", "to", "you", "bad", "床前", "明月光")


def actor(words: Sequence[str] = WORDS, has_end: bool = True, max_tokens: int = 6, context: int | None = None) -> Actor:
    """A table over a few words. Without an end it writes on until `max_tokens`."""
    config = strop.policies.Table.Config(words=list(words), has_end=has_end)
    policy, codec = config.build(seed=0, dtype="float32", device="cpu")
    policy.context = context
    return Actor(policy, codec, strop.Sampling(temperature=1.0, max_tokens=max_tokens), "tiny")


class Slow:
    """A policy that takes its time for each token."""

    def __init__(self, policy: Any, seconds: float) -> None:
        self.policy, self.seconds = policy, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def decode(self, state: Any, tokens_B: Any) -> Any:
        time.sleep(self.seconds)
        return self.policy.decode(state, tokens_B)


def slow(one: Actor, seconds: float = 0.03) -> Actor:
    """The same actor, so slow that a person could stop it."""
    return replace(one, policy=Slow(one.policy, seconds))


@contextmanager
def served(
    one: Actor | None = None,
    folder: Path | None = None,
    waiting: int = 64,
    batch: int = 64,
    limits: Limits | None = None,
    number: int | None = None,
    assistant: Assistant | None = None,
) -> Iterator[Served]:
    """What a server serves; with a folder, answers, feedback and what is to be remembered are kept there."""
    store = None if folder is None else FeedbackStore(folder / FILE)
    memory = None if folder is None else MemoryStore(folder / MEMORY)
    engine = Engine(one or actor(), waiting, batch)
    try:
        yield Served("tiny", engine, number, store, limits or Limits(), memory=memory, assistant=assistant)
    finally:
        engine.close(timeout=5.0)
        for opened in (store, memory):
            if opened is not None:
                opened.close()


@contextmanager
def listened(what: Served) -> Iterator[str]:
    """The address of a real server in a thread."""
    listener = listening("127.0.0.1", 0)
    running = server(what)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield address_of(listener)
    finally:
        running.should_exit = True
        thread.join(timeout=20.0)
        listener.close()
        assert not thread.is_alive(), "the server has not ended within 20 s"
