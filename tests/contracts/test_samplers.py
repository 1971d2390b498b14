"""Every sampler keeps the order, the length and the meaning of `finish`; one that draws uses each row's own stream."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import strop.samplers
from exact.build import llama, transformer
from strop.codec import WordCodec
from strop.policies.table import Table
from strop.policies.transformer import Transformer
from strop.samplers.local import LocalSampler
from strop.samplers.scripted import ScriptedSampler
from strop.streams import stream
from strop.types import Sampling

CODEC = WordCodec(["a", "b", "c"])  # 3 ends
MAKE: dict[str, list[Callable[[], Any]]] = {
    "local": [
        lambda: LocalSampler(Table(4), CODEC.stop),
        lambda: LocalSampler(Table(4), CODEC.stop, batch=2),
        lambda: LocalSampler(transformer("llama", vocabulary=4), CODEC.stop),
        lambda: LocalSampler(Transformer(llama(vocabulary=4), is_plain=True), CODEC.stop),
    ],
    "scripted": [lambda: ScriptedSampler(CODEC, lambda prompt: f"{prompt} a")],
}
SAMPLERS = [pytest.param(make, id=f"{name}{i}") for name, many in MAKE.items() for i, make in enumerate(many)]
PROMPTS = [(0,), (1, 2), (0,), (2, 2, 1)]


def test_every_sampler_of_the_folder_is_here() -> None:
    names = {module.name for module in pkgutil.iter_modules(strop.samplers.__path__)}
    assert {name for name in names if not name.startswith("_")} == set(MAKE)


@pytest.mark.parametrize("make", SAMPLERS)
@pytest.mark.parametrize("max_tokens", [1, 3, 6])
def test_completions_end_with_their_reason(make: Any, max_tokens: int) -> None:
    completions = make().sample(PROMPTS, Sampling(max_tokens=max_tokens), [stream(0, "t", i) for i in range(4)])
    assert len(completions) == len(PROMPTS)
    for one in completions:
        assert 1 <= len(one.tokens) <= max_tokens
        assert not set(one.tokens[:-1]) & CODEC.stop  # a stop token ends it
        assert (one.finish == "stop") == (one.tokens[-1] in CODEC.stop)
        assert one.finish == "stop" or len(one.tokens) == max_tokens
        assert one.logprobs is None or (len(one.logprobs) == len(one.tokens) and max(one.logprobs) <= 0.0)


@pytest.mark.parametrize("make", SAMPLERS)
def test_a_row_depends_on_its_prompt_and_stream_alone(make: Any) -> None:
    sampling = Sampling(max_tokens=5)
    whole = make().sample(PROMPTS, sampling, [stream(0, "t", i) for i in range(4)])
    order = [2, 0, 3, 1]
    shuffled = make().sample([PROMPTS[i] for i in order], sampling, [stream(0, "t", i) for i in order])
    assert [one.tokens for one in shuffled] == [whole[i].tokens for i in order]


def test_more_prompts_than_a_batch_are_read_in_order_of_length(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, read = Table(4), list[list[int]]()
    prefill = policy.prefill

    def noted(prompts: Any) -> Any:
        read.append([len(prompt) for prompt in prompts])
        return prefill(prompts)

    monkeypatch.setattr(policy, "prefill", noted)
    prompts = [(0,) * length for length in (5, 1, 4, 2, 3, 1)]
    rngs = [stream(0, "t", i) for i in range(6)]
    together = LocalSampler(policy, CODEC.stop, batch=2).sample(prompts, Sampling(max_tokens=3), rngs)
    assert read == [[1], [2, 3], [4, 5]]  # equal prompts are read once
    read.clear()
    alone = LocalSampler(policy, CODEC.stop).sample(
        prompts, Sampling(max_tokens=3), [stream(0, "t", i) for i in range(6)]
    )
    assert read == [[5, 1, 4, 2, 3]]  # what fits into one batch stays as it stands
    assert together == alone
