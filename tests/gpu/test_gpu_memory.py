"""The peak of a step stays under a bound that does not grow with the number of decisions times the vocabulary.

Logits are made chunk by chunk, each of at most CHUNK_BYTES. Two tensors of a chunk's size are there at once, and for a
moment three: the logits and what the softmax saves of them; then that and their gradient, in blocks and put together.
"""

from __future__ import annotations

import numpy as np
import pytest

from exact.build import batch_of, episode, llama, turn
from gpu.accelerator import Accelerator, Cuda
from strop.algorithms.grpo import GRPO
from strop.compute import output_head
from strop.policies.transformer import Transformer
from strop.types import Batch, Sampling

VOCABULARY, WIDTH, LAYERS, ANSWER = 50_000, 64, 2, 64
OTHER = 64 * 2**20
"""The workspaces of kernels."""
ACTIVATIONS = 40
"""Tensors of a token's width that one layer saves, at most: those of attention, and of an MLP that is twice as wide."""


def lesson(num_rows: int) -> Batch:
    rng = np.random.default_rng(0)
    logprob = -float(np.log(VOCABULARY))
    return batch_of(
        *(
            episode(
                turn((i % 4,), tuple(int(one) for one in rng.integers(VOCABULARY, size=ANSWER)), (logprob,) * ANSWER),
                reward=float(i % 2),
                group=i // 4,
            )
            for i in range(num_rows)
        )
    )


def peak_of_a_step(accelerator: Accelerator, batch: Batch) -> tuple[int, int]:
    """The peak of the second step, without what is made once, and the size of the weights; in bytes."""
    with accelerator.computing():
        policy = Transformer.of(
            llama(VOCABULARY, width=WIDTH, context=128), None, 0, "float32", device=accelerator.name
        )
    algorithm = GRPO.Config().build(policy, Sampling(temperature=0.9), 2 * batch.tokens_BT.numel())
    _, peak = (accelerator.peak_bytes(lambda: algorithm.update(batch)) for _ in range(2))
    return peak, sum(one.numel() * one.element_size() for one in policy.parameters())


def test_logits_are_never_held_whole(accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch) -> None:
    share = 1 if isinstance(accelerator, Cuda) else 4  # a stand-in computes a quarter of it, in chunks of a quarter
    chunk = output_head.CHUNK_BYTES // share
    batch = lesson(64 // share)
    num = int(batch.action_BT.sum())
    assert num == 4096 // share
    logits = 4 * num * VOCABULARY
    monkeypatch.setattr(output_head, "CHUNK_BYTES", chunk)
    peak, weights = peak_of_a_step(accelerator, batch)
    bound = 3 * chunk + 2 * weights + 4 * ACTIVATIONS * LAYERS * WIDTH * batch.tokens_BT.numel() + OTHER // share
    assert peak <= bound <= 2 * logits
    monkeypatch.setattr(output_head, "CHUNK_BYTES", 2 * logits)
    assert peak_of_a_step(accelerator, batch)[0] > bound, "in one chunk it is more: the bound sees that"
