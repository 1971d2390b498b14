"""The same dice give on a device the CPU's tokens; they are scored as they were sampled; a token costs one transfer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from exact.build import batch_of, episode, turn
from gpu.accelerator import Accelerator
from gpu.language_models import KINDS, VOCABULARY, on_the_cpu, on_the_device
from gpu.tolerances import FLIPPED, LOGPROB
from strop.learners.logprobs import read_actions
from strop.policies.transformer import Transformer
from strop.runs.guards import GapTolerance
from strop.samplers.local import LocalSampler, draw
from strop.streams import stream
from strop.types import Completion, Sampling, Tokens

STOP = frozenset({0})
NEVER = frozenset[int]()
# equal ones, which share a prefill, among others of many lengths
PROMPTS: list[Tokens] = [tuple((3 * i + j) % (VOCABULARY - 1) + 1 for j in range(1 + i % 7)) for i in range(16)] * 4
LONG = Sampling(temperature=0.9, max_tokens=32)


def sampled(
    policy: Transformer, prompts: Sequence[Tokens] = PROMPTS, sampling: Sampling = LONG, stop: frozenset[int] = STOP
) -> list[Completion]:
    return LocalSampler(policy, stop).sample(prompts, sampling, [stream(0, "gpu", i) for i in range(len(prompts))])


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_dice_give_the_cpus_tokens(accelerator: Accelerator, kind: str, lora: bool) -> None:
    here, there = sampled(on_the_cpu(kind, lora)), sampled(on_the_device(accelerator, kind, lora))
    assert len({len(one.tokens) for one in here}) > 4, "rows leave one after another"
    num_tokens = sum(len(one.tokens) for one in here)
    differing = sum(len(one.tokens) for one, other in zip(here, there, strict=True) if one.tokens != other.tokens)
    assert differing <= FLIPPED * num_tokens
    for one, other in zip(here, there, strict=True):
        if one.tokens == other.tokens:
            assert other.logprobs == pytest.approx(one.logprobs, abs=LOGPROB)


def test_a_large_vocabulary_is_drawn_as_on_the_cpu(accelerator: Accelerator) -> None:
    generator = torch.Generator().manual_seed(0)
    probs_BV = torch.softmax(3 * torch.randn(256, 50_000, generator=generator), dim=-1)
    dice_B = torch.rand(256, generator=generator, dtype=torch.float64)
    there_B = draw(probs_BV.to(accelerator.name), dice_B.to(accelerator.name))
    assert str(there_B.device) == accelerator.name
    assert (there_B.cpu() != draw(probs_BV, dice_B)).double().mean() <= FLIPPED


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_sampled_is_what_is_scored(accelerator: Accelerator, kind: str, dtype: str) -> None:
    policy = on_the_device(accelerator, kind, dtype=dtype)
    completions = sampled(policy)
    rows = [episode(turn(p, c.tokens, c.logprobs)) for p, c in zip(PROMPTS, completions, strict=True)]
    batch = batch_of(*rows, layout=policy.layout)
    scored_BT = read_actions(policy, batch, LONG)["logprobs"].detach().double()
    gap_N = (scored_BT - batch.logprobs_BT)[batch.action_BT]
    allowed = GapTolerance.of(dtype)
    assert allowed.max is None or float(gap_N.abs().max()) <= allowed.max
    assert allowed.mean is None or float(gap_N.abs().mean()) <= allowed.mean
    assert allowed.bias is None or abs(float(gap_N.mean())) <= allowed.bias + allowed.scatter(len(gap_N))


@pytest.mark.parametrize("lengths", [(4,), (4, 9)], ids=["equal", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_all_rows_costs_one_transfer(accelerator: Accelerator, kind: str, lengths: tuple[int, ...]) -> None:
    """To the device the dice, from it the tokens and their log-probs: of one row or of many."""
    policy = on_the_device(accelerator, kind)

    def waits(num_rows: int, num_tokens: int) -> list[str]:
        prompts = [tuple(range(1, 1 + lengths[i % len(lengths)])) for i in range(num_rows)]
        sampled(policy, prompts, Sampling(max_tokens=num_tokens), NEVER)  # what is waited for once
        with accelerator.waits() as seen:
            sampled(policy, prompts, Sampling(max_tokens=num_tokens), NEVER)
        return seen

    few, many, longer = waits(4, 4), waits(16, 4), waits(16, 9)
    assert len(many) == len(few), (few, many)
    assert 5 <= len(longer) - len(many) <= 5 * 2, longer[-6:]
