"""Beam search: the likeliest completions of a policy, level by level.

Lowerre 1976; length normalisation as in Wu et al. 2016 (1609.08144, eq. 14), in its plain form:

    score(y) = log p(y) / length(y)^length_power

At every level the `width` likeliest unfinished prefixes are kept. All completions that end there are candidates for the
result, the `width` best by score; the search stops once no kept prefix can get among them.

Differs from the paper: plain length instead of (5 + length) / 6, and no coverage term.
Degenerates: a width of at least the widest level makes it exact; width 1 with length_power 0 is not greedy decoding,
since endings do not use up the width. With length_power 0 short completions win; with 1 the mean log-prob counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from strop.choices import require_choices
from strop.functional.distributions import logprobs_of
from strop.types import Policy, Sampling, Tokens


@dataclass(frozen=True, slots=True)
class Beam:
    """A finished completion, its log-probability in nats, and its score."""

    tokens: Tokens
    logprob: float
    score: float


@torch.no_grad()
def beam_search(
    policy: Policy, prompt: Tokens, sampling: Sampling, stop: frozenset[int], width: int, length_power: float = 0.0
) -> list[Beam]:
    """At most `width` completions, the best first (ties: the smaller tokens first)."""
    require_choices(sampling, ())
    if width < 1:
        raise ValueError(f"width={width}: a beam is at least 1 wide.")
    if length_power < 0.0:
        raise ValueError(f"length_power={length_power}: it is 0 (no normalisation) or above.")
    best: list[Beam] = []
    live: list[tuple[Tokens, float]] = [((), 0.0)]
    logits_BV, state = policy.prefill([prompt])
    for length in range(1, sampling.max_tokens + 1):
        so_far_B1 = torch.tensor([[logprob] for _, logprob in live], dtype=torch.float64)
        total_BV = so_far_B1 + logprobs_of(logits_BV.cpu().double(), sampling)
        is_end_V = torch.tensor([length == sampling.max_tokens or v in stop for v in range(policy.vocabulary)])
        ended = [
            Beam((*live[b][0], v), logprob, logprob / math.pow(length, length_power))
            for b, v, logprob in _largest(total_BV.masked_fill(~is_end_V, -math.inf), width)
        ]
        best = sorted([*best, *ended], key=lambda beam: (-beam.score, beam.tokens))[:width]
        longer = _largest(total_BV.masked_fill(is_end_V, -math.inf), width)
        if not longer or (len(best) == width and _best_possible(longer[0][2], sampling, length_power) < best[-1].score):
            break
        owners = [b for b, _, _ in longer]
        live = [((*live[b][0], v), logprob) for b, v, logprob in longer]
        logits_BV, state = policy.decode(policy.keep(state, owners), torch.tensor([v for _, v, _ in longer]))
    return best


def _largest(total_BV: torch.Tensor, width: int) -> list[tuple[int, int, float]]:
    """(row, token, log-probability) of the largest possible entries; ties in the order of rows, then tokens."""
    flat_N, order_N = total_BV.flatten().sort(descending=True, stable=True)
    kept = [(value, i) for value, i in zip(flat_N[:width].tolist(), order_N[:width].tolist(), strict=True)]
    return [(*divmod(i, total_BV.shape[1]), value) for value, i in kept if value > -math.inf]


def _best_possible(logprob: float, sampling: Sampling, length_power: float) -> float:
    """An upper bound of the score of a prefix's completions: further tokens of probability 1, up to max_tokens."""
    return logprob / math.pow(sampling.max_tokens, length_power)
