"""What a policy says of given tokens is on a device what it is on the CPU: log-probs, values and gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, flat, turn
from gpu.accelerator import Accelerator
from gpu.language_models import KINDS, VOCABULARY, on_the_cpu, on_the_device
from gpu.tolerances import LOGPROB, SHARE, apart, rounds_alike
from strop.functional.distributions import gather, logprobs_of
from strop.learners.logprobs import read_actions
from strop.policies.transformer import Transformer
from strop.types import Batch, Heads, Policy, Sampling

SAMPLING = Sampling(temperature=0.8)


@dataclass(frozen=True)
class Reading:
    """Log-probs and values of the actions, and the gradient of a weighted sum of both."""

    logprobs: Tensor
    values: Tensor
    gradient: Tensor


def lesson(layout: Literal["joined", "per_turn"] = "joined") -> Batch:
    """Rows of many lengths with several turns, so that some are padded and their answers stand apart."""
    rng = np.random.default_rng(0)

    def tokens(least: int, most: int) -> tuple[int, ...]:
        return tuple(int(one) for one in rng.integers(VOCABULARY, size=rng.integers(least, most)))

    episodes = []
    for _ in range(12):
        first, answer, reply = tokens(1, 12), tokens(1, 9), tokens(1, 5)
        episodes.append(episode(turn(first, answer), turn(first + answer + reply, tokens(1, 9))))
    return batch_of(*episodes, layout=layout)


def read(policy: Transformer) -> Reading:
    batch = lesson(policy.layout)

    def reduce(heads: Heads) -> dict[str, Tensor]:
        assert heads.logits_NV is not None
        assert heads.value_N is not None
        return {"logprobs": gather(logprobs_of(heads.logits_NV, SAMPLING), heads.tokens_N), "values": heads.value_N}

    found = policy.heads(batch, reduce, frozenset({"logits", "value"}))
    weight_BT = torch.randn(batch.action_BT.shape, generator=torch.Generator().manual_seed(0))
    loss = (torch.where(batch.action_BT, found["logprobs"] + found["values"], 0.0) * weight_BT).sum()
    gradient = torch.autograd.grad(loss, policy.parameters())
    logprobs, values = (found[name].detach()[batch.action_BT].double() for name in ("logprobs", "values"))
    return Reading(logprobs, values, flat([one.cpu().double() for one in gradient]))


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_that_of_the_cpu(accelerator: Accelerator, kind: str, lora: bool) -> None:
    here, there = read(on_the_cpu(kind, lora)), read(on_the_device(accelerator, kind, lora))
    assert float((there.logprobs - here.logprobs).abs().max()) <= LOGPROB
    assert apart(there.values, here.values) <= SHARE
    assert apart(there.gradient, here.gradient) <= SHARE


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_rounds_as_much_as_on_the_cpu(accelerator: Accelerator, kind: str, lora: bool) -> None:
    exact, here = (read(on_the_cpu(kind, lora, dtype)) for dtype in ("float32", "bfloat16"))
    there = read(on_the_device(accelerator, kind, lora, "bfloat16"))
    assert rounds_alike(there.logprobs, here.logprobs, exact.logprobs)
    assert rounds_alike(there.values, here.values, exact.values)
    assert rounds_alike(there.gradient, here.gradient, exact.gradient)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_the_reference_is_that_of_the_cpu(accelerator: Accelerator, lora: bool) -> None:
    here = read_logprobs(on_the_cpu("llama", lora).reference())
    there = read_logprobs(on_the_device(accelerator, "llama", lora).reference())
    assert float((there - here).abs().max()) <= LOGPROB


def read_logprobs(policy: Policy) -> Tensor:
    batch = lesson()
    return read_actions(policy, batch, SAMPLING)["logprobs"].detach()[batch.action_BT]
