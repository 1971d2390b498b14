"""The log-probs of a batch under a policy, and what else a loss reads of each action.

Every number here goes through `functional.distributions.logprobs_of`, as the sampler's go through `probs_of` beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from strop.functional.aggregation import scored_actions
from strop.functional.distributions import entropy, gather, logprobs_of
from strop.functional.divergences import full_kl
from strop.learners.heads import decided, read_batch
from strop.types import Batch, Heads, Max, Mean, Metrics, Policy, Sampling

Read = dict[str, Tensor]
"""What a policy says of each action [B, T], by name: logprobs, entropy, and what else was asked for."""


def read_actions(
    policy: Policy,
    batch: Batch,
    sampling: Sampling,
    reference_logprobs_NV: Tensor | None = None,
    learns_entropy: bool = False,
) -> Read:
    """`logprobs` (with gradient) and the whole distribution's `entropy`, [B, T]; with a reference's the exact `kl`.

    Minus the log-prob of what was sampled has the entropy's value in expectation, and an expected gradient of 0: only
    the whole distribution can be learned from, and it is with `learns_entropy`.
    """

    def reduce(heads: Heads) -> Read:
        assert heads.logits_NV is not None
        logprobs_NV = logprobs_of(heads.logits_NV, sampling)
        read = {
            "logprobs": gather(logprobs_NV, heads.tokens_N),
            "entropy": entropy(logprobs_NV if learns_entropy else logprobs_NV.detach()),
        }
        if reference_logprobs_NV is not None:
            chunk_NV = reference_logprobs_NV[heads.first : heads.first + len(heads.tokens_N)]
            read["kl"] = full_kl(logprobs_NV, chunk_NV.to(logprobs_NV.device))
        return read

    return decided(policy, batch, reduce)


def logprobs_of_batch(policy: Policy, batch: Batch, sampling: Sampling, micro_tokens: int) -> Tensor:
    """The policy's log-probs [B, T] of the whole batch, without gradient; 0 off the actions."""

    def read(micro: Batch) -> Tensor:
        return read_actions(policy, micro, sampling)["logprobs"]

    return torch.where(batch.action_BT, read_batch(batch, micro_tokens, read, keep="row"), 0.0)


@torch.no_grad()
def full_logprobs(policy: Policy, micro: Batch, sampling: Sampling) -> Tensor:
    """Log-probs [N, V] of the whole vocabulary at every decision: for the `full` KL only, bounded by `micro_tokens`."""
    chunks: list[Tensor] = []

    def reduce(heads: Heads) -> Read:
        assert heads.logits_NV is not None
        chunks.append(logprobs_of(heads.logits_NV, sampling))
        return {}

    decided(policy, micro, reduce)
    return torch.cat(chunks)


def require_on_policy(batch: Batch, name: str) -> None:
    """Refuse actions without a log-prob: the policy that learns did not sample them."""
    if bool((scored_actions(batch) & batch.logprobs_BT.isnan()).any()):
        raise ValueError(
            f"{name} learns from what its own policy sampled, but some actions have no log-prob (they come "
            "from data, a person, or a sampler that reports none). Use an algorithm that reads demonstrations, "
            "such as SFT."
        )


def sampler_metrics(micro: Batch, read: Read) -> Metrics:
    """Entropy per token, and the gap between the sampler's log-probs and the learner's before the policy moves."""
    mask_BT = scored_actions(micro)
    num_tokens = int(mask_BT.sum())
    if not num_tokens:
        return {}
    gap_N = (read["logprobs"].detach().double() - micro.logprobs_BT)[mask_BT]
    return {
        "policy/entropy": Mean(read["entropy"].detach().double()[mask_BT].sum().item(), num_tokens),
        "policy/sampler_gap_mean": Mean(gap_N.abs().sum().item(), num_tokens),
        "policy/sampler_gap_bias": Mean(gap_N.sum().item(), num_tokens),
        "policy/sampler_gap_max": Max(gap_N.abs().max().item()),
    }
