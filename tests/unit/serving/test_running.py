"""Rows that come and go draw what each draws alone: `LocalSampler`, one prompt at a time, is the reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from strop.codec import WordCodec
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.samplers.local import LocalSampler, prefilled
from strop.serving.actor import Actor
from strop.serving.answer import Answer
from strop.serving.ask import Ask
from strop.serving.running import Row, Running
from strop.streams import stream
from strop.types import Choices, Completion, Sampling
from strop.verify.small_models import WORDS, policy_of

CODEC = WordCodec(WORDS)  # 5 ends
ACTORS = {name: Actor(policy_of(name), CODEC, Sampling(), name) for name in ("table", "llama", "t5", "convolutional")}
SAMPLINGS = [
    Sampling(max_tokens=9),
    Sampling(max_tokens=1),
    Sampling(max_tokens=6, temperature=1.5, top_k=3),
    Sampling(max_tokens=12, temperature=0.0),
    Sampling(max_tokens=12, top_p=0.8),
    Sampling(max_tokens=7, epsilon=0.3),
]
PROMPTS = [(0,), (1, 2, 3), (4, 0, 0, 2, 1), (1, 2, 3)]
ASKS = [
    Ask(prompt=prompt, sampling=sampling, seed=seed)
    for seed, (prompt, sampling) in enumerate((prompt, sampling) for sampling in SAMPLINGS for prompt in PROMPTS)
]


def alone(actor: Actor, ask: Ask) -> Completion:
    sampler = LocalSampler(actor.policy, actor.codec.stop)
    return sampler.sample([ask.prompt], ask.sampling, [stream(ask.seed, "answer")], [ask.choices])[0]


def arriving(actor: Actor, asks: Sequence[Ask], at_once: int) -> list[Answer]:
    """So many come at each step, until all have ended."""
    running, answers = Running(actor.policy), [Answer(ask) for ask in asks]
    waiting: Iterator[Answer] = iter(answers)
    for _ in range(100):  # far more than they take
        running.admit([Row(answer, actor) for answer in islice(waiting, at_once)])
        running.step()
    assert not running.rows
    assert all(answer.finish for answer in answers)
    return answers


@pytest.mark.parametrize(
    ("sampling", "number"),
    [(Sampling(temperature=0.5), 3), (Sampling(top_k=2), 2), (Sampling(temperature=0.0), 1), (Sampling(), 0)],
)
def test_the_likeliest_tokens_are_those_of_the_distribution_that_is_drawn_from(sampling: Sampling, number: int) -> None:
    """By hand from the logits: of three that are asked for those that can be drawn, beside a row that asks for none."""
    actor, prompt = ACTORS["llama"], (1, 2, 3)
    asks = [
        Ask(prompt=prompt, sampling=replace(sampling, max_tokens=1), seed=1, top=top) for top in (min(number, 1) * 3, 0)
    ]
    answers = arriving(actor, asks, at_once=2)
    logits = prefilled(actor.policy, [prompt])[0][0].tolist()
    order = sorted(range(len(logits)), key=lambda token: -logits[token])[:number]
    heat = sampling.temperature or 1.0
    among = order if sampling.top_k or not sampling.temperature else range(len(logits))
    total = math.log(sum(math.exp(logits[token] / heat) for token in among))
    [[piece], [other]] = map(list, answers)
    assert [token for token, _ in piece.top] == order
    assert [logprob for _, logprob in piece.top] == pytest.approx(
        [logits[one] / heat - total for one in order], abs=1e-5
    )
    assert (other.top, other.token) == ((), piece.token)


@pytest.mark.parametrize("at_once", [1, 5])
@pytest.mark.parametrize("name", ACTORS)
def test_a_row_draws_what_it_draws_alone(name: str, at_once: int) -> None:
    actor = ACTORS[name]
    answers = arriving(actor, ASKS, at_once)
    for ask, answer in zip(ASKS, answers, strict=True):
        wanted = alone(actor, ask)
        assert tuple(piece.token for piece in answer) == wanted.tokens
        assert [piece.logprob for piece in answer] == pytest.approx(wanted.logprobs, abs=1e-5)
        assert (answer.finish, answer.text()) == (wanted.finish, CODEC.decode(wanted.tokens))
    assert {answer.finish for answer in answers} == {"stop", "length"}
    assert len({answer.text() for answer in answers}) > 12


def test_one_seed_is_one_text() -> None:
    one = Ask(prompt=(1, 2), sampling=Sampling(max_tokens=12), seed=7)
    found = [answer.text() for answer in arriving(ACTORS["llama"], [one, ASKS[0], one, ASKS[3], one], 1)]
    assert found[0] == found[2] == found[4]


def test_rows_may_be_restricted_to_choices_or_not() -> None:
    choices = Choices(((0, 1), (0, 2, 3), (4,)))
    asks = [
        Ask(prompt=(1,), sampling=Sampling(max_tokens=4), seed=seed, choices=choices if seed % 2 else None)
        for seed in range(12)
    ]
    answers = arriving(ACTORS["llama"], asks, 3)
    assert {answer.text() for answer in answers[1::2]} == {"red green pink", "grey"}
    for ask, answer in zip(asks, answers, strict=True):
        wanted = alone(ACTORS["llama"], ask)
        assert (tuple(piece.token for piece in answer), answer.finish) == (wanted.tokens, wanted.finish)


def test_the_context_bounds_an_answer() -> None:
    policy, codec = Scratch(words=WORDS, has_end=False, width=8, num_heads=2, context=8).build(0, "float32")
    ask = Ask(prompt=(0, 1, 2), sampling=Sampling(max_tokens=50), seed=0)
    (answer,) = arriving(Actor(policy, codec, Sampling(), "short"), [ask], 1)
    assert (len(list(answer)), answer.finish) == (5, "length")


def test_a_stop_string_ends_a_row() -> None:
    actor = Actor(Table(3), WordCodec(("ab", "c", "d"), has_end=False), Sampling(), "table")
    asks = [Ask(prompt=(0,), sampling=Sampling(max_tokens=40), seed=seed, stop=("b c",)) for seed in range(8)]
    for ask, answer in zip(asks, arriving(actor, asks, 2), strict=True):
        whole = actor.codec.decode(alone(actor, ask).tokens)
        assert "b c" in whole  # 40 words of 3: it comes
        assert (answer.text(), answer.finish) == (whole.split("b c")[0], "stop")


class Unreadable(Table):
    """It cannot read a prompt that begins with 4."""

    def prefill(self, prompts: Any) -> Any:
        if any(prompt[0] == 4 for prompt in prompts):
            raise IndexError("token 4 is out of range")
        return super().prefill(prompts)


def test_a_prompt_that_cannot_be_read_fails_alone() -> None:
    actor = Actor(Unreadable(6), CODEC, Sampling(), "table")
    answers = arriving(actor, ASKS[:4], 4)
    assert [answer.finish == "failed" for answer in answers] == [False, False, True, False]
    assert (answers[2].reason, list(answers[2])) == ("IndexError: token 4 is out of range", [])


def test_tokens_without_a_text_fail_their_row_alone() -> None:
    actor = Actor(Table(8), CODEC, Sampling(), "table")  # 6 and 7 are no words
    asks = [Ask(prompt=(0,), sampling=Sampling(max_tokens=4), seed=seed) for seed in range(12)]
    for ask, answer in zip(asks, arriving(actor, asks, 3), strict=True):
        has_text = max(alone(actor, ask).tokens) < 6
        assert (answer.finish == "failed") == (not has_text)
    assert {answer.finish for answer in arriving(actor, asks, 3)} > {"failed"}


@pytest.mark.parametrize("at", [0, 3])
def test_a_cancelled_row_leaves_at_the_next_token(at: int) -> None:
    actor, running = ACTORS["llama"], Running(ACTORS["llama"].policy)
    prompts = [(1,), (2, 3), (4, 0, 0), (0, 2)]
    asks = [Ask(prompt=prompt, sampling=Sampling(max_tokens=8), seed=seed) for seed, prompt in enumerate(prompts)]
    answers = [Answer(ask) for ask in asks]
    running.admit([Row(answer, actor) for answer in answers])
    for _ in range(at):
        running.step()
    answers[1].cancel()
    running.step()
    assert answers[1] not in [row.answer for row in running.rows]
    while running.rows:
        running.step()
    assert (len(list(answers[1])), answers[1].finish) == (at, "cancelled")
    for ask, answer in zip(asks, answers, strict=True):
        tokens = tuple(piece.token for piece in answer)
        assert tokens == alone(actor, ask).tokens[: len(tokens)]
        assert answer.finish in ("stop", "length", "cancelled")
