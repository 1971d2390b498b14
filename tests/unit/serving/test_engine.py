"""Many ask one engine at once: all are answered, none for long at the cost of another, and its end is graceful."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from strop.codec import WordCodec
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.samplers.local import LocalSampler
from strop.serving import engine as engines
from strop.serving.actor import Actor
from strop.serving.answer import Answer
from strop.serving.ask import Ask, Busy, Closed
from strop.serving.engine import Engine
from strop.streams import stream
from strop.types import Sampling
from strop.verify.small_models import WORDS, policy_of

SECONDS = 60.0
"""Far longer than anything here takes: what hangs fails."""
CODEC = WordCodec(WORDS, has_end=False)


class Gated(Table):
    """A table that decodes when it is let, and notes how many rows it decodes. It stops at no token."""

    def __init__(self) -> None:
        super().__init__(5)
        self.may, self.has, self.rows = threading.Semaphore(0), threading.Semaphore(0), list[int]()
        self.error: Exception | None = None

    def decode(self, state: Any, tokens_B: Any) -> Any:
        self.has.release()  # it has come to this step, with every newcomer of before
        assert self.may.acquire(timeout=SECONDS)
        if self.error is not None:
            raise self.error
        self.rows.append(len(tokens_B))
        return super().decode(state, tokens_B)

    def arrived(self) -> None:
        """Return when a step has begun."""
        assert self.has.acquire(timeout=SECONDS)

    def step(self, times: int = 1) -> None:
        """Let so many steps end, and wait for the next one to begin."""
        for _ in range(times):
            self.may.release()
            self.arrived()

    def open(self) -> None:
        """Let all later steps end."""
        self.may.release(100_000)


@contextmanager
def gated(**sizes: int) -> Iterator[tuple[Engine, Gated]]:
    policy = Gated()
    engine = Engine(Actor(policy, CODEC, Sampling(), "gated"), **sizes)
    try:
        yield engine, policy
    finally:
        policy.open()
        engine.close(SECONDS)


def ask(max_tokens: int = 3, seed: int = 0, prompt: tuple[int, ...] = (0, 1)) -> Ask:
    return Ask(prompt=prompt, sampling=Sampling(max_tokens=max_tokens), seed=seed)


def num_pieces(answer: Answer) -> int:
    return len(list(answer.pieces(SECONDS)))


def test_fifty_at_once_are_all_answered_as_each_alone() -> None:
    policy, codec = policy_of("llama"), WordCodec(WORDS)
    asks = [ask(max_tokens=2 + i % 9, seed=i, prompt=(i % 5, 0, 1)[: 1 + i % 3]) for i in range(50)]
    with Engine(Actor(policy, codec, Sampling(), "tiny"), batch=16) as engine, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(engine.ask, asks))
        texts = [answer.text(SECONDS) for answer in answers]
    for one, answer, text in zip(asks, answers, texts, strict=True):
        rng = stream(one.seed, "answer")
        wanted = LocalSampler(policy, codec.stop).sample([one.prompt], one.sampling, [rng])[0]
        assert (text, answer.finish) == (codec.decode(wanted.tokens), wanted.finish)
    assert engine.health.error == ""


def test_a_newcomer_joins_what_runs_and_a_short_one_does_not_wait_for_a_long_one() -> None:
    with gated() as (engine, policy):
        long = engine.ask(ask(max_tokens=100))
        policy.arrived()
        policy.step(4)
        short = engine.ask(ask(max_tokens=3, seed=1))
        policy.step(3)
        assert num_pieces(short) == 3
        assert (short.finish, long.finish) == ("length", None)
        assert policy.rows == [1, 1, 1, 1, 1, 2, 2]  # the step that had begun, and those with both
        policy.open()
        assert num_pieces(long) == 100


def test_one_more_than_may_wait_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(engines.time, "monotonic", lambda: clock[0])
    with gated(waiting=2, batch=1) as (engine, policy):
        first = engine.ask(ask(max_tokens=50))
        policy.arrived()
        waits = [engine.ask(ask(seed=1)), engine.ask(ask(seed=2))]
        with pytest.raises(Busy, match="2 requests wait already") as busy:
            engine.ask(ask(seed=3))
        assert busy.value.retry_after == 1
        clock[0] += 6.5
        first.cancel()  # its row is free at the next token, and a place in the queue
        policy.step(1)
        waits.append(engine.ask(ask(seed=4)))
        with pytest.raises(Busy) as busy:
            engine.ask(ask(seed=5))
        assert busy.value.retry_after == 7  # the one that began had waited 6.5 s
        waits[1].cancel()
        last = engine.ask(ask(seed=6))  # who gave up waits no longer
        assert engine.health.waiting == 2
        policy.open()
        assert [num_pieces(answer) for answer in (waits[0], waits[2], last)] == [3, 3, 3]
        assert (num_pieces(waits[1]), waits[1].finish) == (0, "cancelled")


def test_what_cannot_be_answered_is_refused_at_once() -> None:
    policy, codec = Scratch(words=WORDS, width=8, num_heads=2, context=8).build(0, "float32")
    with Engine(Actor(policy, codec, Sampling(), "short")) as engine:
        with pytest.raises(ValueError, match="the prompt has 8 tokens, and the context is 8 with the answer"):
            engine.ask(ask(prompt=(0,) * 8))
        with pytest.raises(ValueError, match="are texts: whoever samples gives each prompt its choices"):
            engine.ask(Ask(prompt=(0,), sampling=Sampling(choices=("red", "blue")), seed=0))
        assert num_pieces(engine.ask(ask(prompt=(0,) * 7))) == 1
    with pytest.raises(Closed, match="the engine of short accepts no more requests"):
        engine.ask(ask())
    for wrong, match in [
        ({"prompt": ()}, "at least 1 token"),
        ({"seed": -1}, "seed=-1"),
        ({"stop": ("a", "")}, "an empty text ends every answer"),
        ({"sampling": Sampling(temperature=lambda step: 1.0)}, "Schedule"),
    ]:
        with pytest.raises(ValueError, match=match):
            Ask(**{"prompt": (0,), "sampling": Sampling(), "seed": 0, **wrong})


def test_closing_lets_what_runs_end_and_cancels_what_waits() -> None:
    with gated(batch=1) as (engine, policy):
        runs, waits = engine.ask(ask(max_tokens=20)), engine.ask(ask(seed=1))
        policy.arrived()
        closing = threading.Thread(target=engine.close, args=(SECONDS,))
        closing.start()
        assert num_pieces(waits) == 0
        assert (waits.finish, waits.reason) == ("cancelled", "the engine closed before it began")
        assert engine.health.is_open is False
        policy.open()
        closing.join(SECONDS)
        assert (num_pieces(runs), runs.finish) == (20, "length")


def test_closing_in_a_hurry_cancels_what_runs() -> None:
    with gated() as (engine, policy):
        runs = engine.ask(ask(max_tokens=1000))
        policy.arrived()
        closing = threading.Thread(target=engine.close, args=(0.0,))
        closing.start()
        while not engine._is_cut:
            assert closing.is_alive()
        policy.open()
        closing.join(SECONDS)
        assert (runs.finish, runs.reason) == ("cancelled", "the engine closed")
        assert num_pieces(runs) < 10


def test_a_step_that_hangs_is_named_when_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "LAST_STEP", 0.01)
    with gated() as (engine, policy):
        engine.ask(ask())
        policy.arrived()
        with pytest.raises(TimeoutError, match=r"waited 0\.01 s for the running step of engine of gated"):
            engine.close(0.0)


def test_when_decoding_fails_what_runs_fails_and_what_comes_is_answered() -> None:
    with gated(batch=2) as (engine, policy):
        run, waits = [engine.ask(ask(max_tokens=9, seed=seed)) for seed in range(2)], engine.ask(ask(seed=2))
        policy.arrived()
        if engine.health.running == 1:  # the second came after the first had begun
            policy.step(1)
        policy.error = RuntimeError("out of memory")
        policy.may.release()
        assert all(num_pieces(answer) < 9 for answer in run)
        assert {(answer.finish, answer.reason) for answer in run} == {("failed", "RuntimeError: out of memory")}
        policy.arrived()  # the one that waited has begun
        assert engine.health.error == "RuntimeError: out of memory"
        policy.error = None
        policy.step(1)
        assert engine.health.error == ""
        policy.open()
        assert (num_pieces(waits), waits.finish) == (3, "length")


def test_when_a_join_fails_nobody_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(states: Any) -> Any:
        raise RuntimeError("no memory for both")

    with gated() as (engine, policy):
        monkeypatch.setattr(policy, "join", broken)
        runs = engine.ask(ask(max_tokens=9))
        policy.arrived()
        comes = engine.ask(ask(seed=1))
        policy.may.release()
        assert [num_pieces(answer) for answer in (runs, comes)] == [1, 0]
        assert {answer.reason for answer in (runs, comes)} == {"RuntimeError: no memory for both"}
        assert engine.health.running == 0
        policy.open()
        assert num_pieces(engine.ask(ask(seed=2))) == 3


def test_who_waits_to_change_the_weights_comes_before_newcomers() -> None:
    with gated() as (engine, policy):
        runs = engine.ask(ask(max_tokens=5))
        policy.arrived()
        changed = threading.Event()

        def change() -> None:
            with policy.lock.changing():
                changed.set()

        trainer = threading.Thread(target=change)
        trainer.start()
        while not policy.lock.is_wanted:
            assert trainer.is_alive()
        comes = engine.ask(ask(seed=1))
        policy.step(2)
        assert not changed.is_set()  # a row sees one version of the weights
        policy.open()
        assert changed.wait(SECONDS)
        trainer.join(SECONDS)
        assert (num_pieces(runs), num_pieces(comes)) == (5, 3)
        assert policy.rows[:3] == [1, 1, 1]


def test_long_prompts_are_read_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "READ_AT_ONCE", 10)
    read = list[list[int]]()
    with gated() as (engine, policy):
        prefill = policy.prefill

        def noted(prompts: Any) -> Any:
            read.append([len(prompt) for prompt in prompts])
            return prefill(prompts)

        monkeypatch.setattr(policy, "prefill", noted)
        first = engine.ask(ask(max_tokens=100))
        policy.arrived()
        more = [engine.ask(ask(seed=i, prompt=(0,) * i)) for i in (4, 5, 12, 3)]
        policy.open()
        assert [num_pieces(answer) for answer in (first, *more)] == [100, 3, 3, 3, 3]
    assert read == [[2], [4, 5], [12], [3]]
