"""The distribution that a token is sampled from, as a function of the logits, and quantities of it."""

from __future__ import annotations

import torch
from torch import Tensor

from strop.types import Sampling

PLAIN = Sampling(temperature=1.0)
"""The distribution of the raw logits: softmax at temperature 1."""
IMPOSSIBLE = -1e4
"""A finite stand-in for log 0, whose exponential is 0 in float64 too."""


def logprobs_of(logits_NV: Tensor, sampling: Sampling) -> Tensor:
    """Log-probabilities [N, V] in nats of the distribution that `sampling` draws from, in float32 or better.

    Losses and reference use the same distribution. `temperature` 0 is the argmax (ties: the smallest id), whose other
    entries are -inf; top-k and top-p renormalise what they keep; `epsilon` mixes the uniform distribution in last. A
    logit of -inf is a token that is not allowed (`functional.restriction`): its probability is 0, with epsilon too.
    """
    if sampling.epsilon != 0.0:
        # the log of 0 has an infinite gradient, which times 0 is not a number
        forbidden_NV = logits_NV == -torch.inf
        probs_NV = probs_of(logits_NV, sampling).masked_fill(forbidden_NV, 1.0)
        return torch.log(probs_NV).masked_fill(forbidden_NV, -torch.inf)
    return torch.log_softmax(_shaped(logits_NV, sampling), dim=-1)


def probs_of(logits_NV: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities [N, V] of the same distribution: the sampler draws from them."""
    probs_NV, epsilon = torch.softmax(_shaped(logits_NV, sampling), dim=-1), sampling.epsilon
    assert not callable(epsilon)  # refused above
    if epsilon == 0.0:
        return probs_NV
    forbidden_NV = logits_NV == -torch.inf
    num_allowed_N1 = (~forbidden_NV).sum(dim=-1, keepdim=True)
    uniform_NV = (epsilon / num_allowed_N1.to(probs_NV.dtype)).expand_as(probs_NV)
    return (1.0 - epsilon) * probs_NV + uniform_NV.masked_fill(forbidden_NV, 0.0)


def _shaped(logits_NV: Tensor, sampling: Sampling) -> Tensor:
    """Logits [N, V] after temperature, top-k and top-p, before epsilon; probs and log-probs both start from them."""
    if callable(sampling.temperature) or callable(sampling.epsilon):
        raise ValueError("sampling still holds a Schedule; resolve it with sampling.at(step) first.")
    logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    if sampling.temperature == 0.0:
        greedy_N1 = logits_NV.argmax(dim=-1, keepdim=True)
        return torch.full_like(logits_NV, -torch.inf).scatter(-1, greedy_N1, 0.0)
    if sampling.temperature != 1.0:
        logits_NV = logits_NV / sampling.temperature
    if is_truncated(sampling):
        logits_NV = logits_NV.masked_fill(~_nucleus(logits_NV, sampling), -torch.inf)
    return logits_NV


def is_truncated(sampling: Sampling) -> bool:
    """Whether top-p or top-k cuts the distribution, so that some tokens get probability 0."""
    return sampling.top_p < 1.0 or sampling.top_k > 0


def require_full_support(sampling: Sampling, name: str) -> None:
    """Refuse a sampling distribution under which policy gradients do not exist."""
    if is_truncated(sampling):
        raise ValueError(
            f"{name} cannot train with sampling.top_p={sampling.top_p}, sampling.top_k={sampling.top_k}: tokens "
            "outside the nucleus have probability 0 when sampled and not when scored. Set top_p=1.0 and top_k=0; "
            "lower the temperature instead."
        )
    if sampling.temperature == 0.0 or sampling.epsilon == 1.0:
        raise ValueError(
            f"{name} has no gradient under sampling.temperature={sampling.temperature}, "
            f"sampling.epsilon={sampling.epsilon}: the logits do not move the distribution. Set temperature above 0 "
            "and epsilon below 1."
        )
    if callable(sampling.temperature) or callable(sampling.epsilon):
        raise ValueError(
            f"{name} scores under one distribution: sampling.temperature and epsilon must be numbers, not schedules."
        )


def _nucleus(logits_NV: Tensor, sampling: Sampling) -> Tensor:
    """bool [N, V]: the tokens that top-k, then top-p keep. The most likely token always stays."""
    sorted_NV, order_NV = logits_NV.sort(dim=-1, descending=True, stable=True)
    rank_V = torch.arange(logits_NV.shape[-1], device=logits_NV.device)
    keep_NV = torch.ones_like(sorted_NV, dtype=torch.bool)
    if sampling.top_k > 0:
        keep_NV = keep_NV & (rank_V < sampling.top_k)
    probs_NV = torch.softmax(sorted_NV.masked_fill(~keep_NV, -torch.inf), dim=-1)
    before_NV = probs_NV.cumsum(dim=-1) - probs_NV
    keep_NV = keep_NV & (before_NV < sampling.top_p)  # the first has 0 before it, so it stays
    return torch.zeros_like(keep_NV).scatter(-1, order_NV, keep_NV)


def entropy(logprobs_NV: Tensor) -> Tensor:
    """Shannon entropy [N] in nats of the full distribution; a token of probability 0 adds 0, and 0 to the gradient."""
    # 0 * -inf would be NaN; below this bound a probability is 0 in every type
    negative_N: Tensor = torch.linalg.vecdot(logprobs_NV.exp(), logprobs_NV.clamp(min=IMPOSSIBLE))
    return -negative_N


def gather(logprobs_NV: Tensor, tokens_N: Tensor) -> Tensor:
    """Log-probability [N] of the chosen tokens."""
    return logprobs_NV.gather(-1, tokens_N.unsqueeze(-1)).squeeze(-1)
