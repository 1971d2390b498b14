"""Pairs of a chosen and a rejected answer, and the functions that preference losses share.

A pair is two picks of one group whose returns differ; ties make no pair. The same rule serves preference data (returns
1 and 0) and sampled answers with rewards, so offline and online methods share it.

Shape legend: P pairs, E picks, B rows, T slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.aggregation import num_actions_E
from strop.types import Batch, Source


@dataclass(frozen=True, slots=True)
class Pairs:
    """Indices of both picks of each pair, and the weight of each pair in a mean over prompts.

    Every prompt counts once (Ouyang et al. 2022, eq. 1): K answers make up to K (K - 1) / 2 pairs, and each has the
    weight 1 / (pairs of its prompt * prompts with a pair).
    """

    chosen_P: Tensor
    rejected_P: Tensor
    weight_P: Tensor

    def within(self, micro: Batch) -> Pairs:
        """The pairs in a micro-batch, which must have been split with keep="group"."""
        here_P = present(micro)[self.chosen_P]
        return Pairs(self.chosen_P[here_P], self.rejected_P[here_P], self.weight_P[here_P])


def present(micro: Batch) -> Tensor:
    """bool [E]: the picks of the whole batch that have a row in this micro-batch."""
    present_E = torch.zeros_like(micro.group_E, dtype=torch.bool)
    present_E[micro.episode_B] = True
    return present_E


def ordered_pairs(batch: Batch) -> Pairs:
    """All strictly ordered pairs of the batch, without Unscored picks and picks without an action.

    The weight of a pair is multiplied by the smaller weight of its two picks.
    """
    counts_E = (batch.weight_E > 0) & (num_actions_E(batch) > 0)
    better_EE = batch.return_E.unsqueeze(1) > batch.return_E  # false for NaN
    same_EE = batch.group_E.unsqueeze(1) == batch.group_E
    chosen_P, rejected_P = (better_EE & same_EE & counts_E.unsqueeze(1) & counts_E).nonzero(as_tuple=True)
    _, prompt_P, size_G = torch.unique(batch.group_E[chosen_P], return_inverse=True, return_counts=True)
    lighter_P = torch.minimum(batch.weight_E[chosen_P], batch.weight_E[rejected_P])
    return Pairs(chosen_P, rejected_P, lighter_P / (size_G[prompt_P] * len(size_G)))


def require_pairs(pairs: Pairs, batch: Batch, name: str) -> None:
    """Refuse a batch without pairs, unless they are sampled answers that merely tie."""
    alone = len(set(batch.group_E.tolist())) == len(batch.group_E)
    written = bool((batch.source_E == tuple(Source).index(Source.DATA)).all())
    if len(pairs.weight_P) == 0 and (alone or written):
        raise ValueError(
            f"{name} learns from pairs, and here no two answers to one prompt can be compared. Data needs lines with a "
            "prompt, chosen and rejected (KTO learns from single answers with a label); sampled answers need "
            "group_size=2 or more."
        )


def mismatched(batch: Batch) -> Batch | None:
    """Every answer behind another prompt: that of the next group (by number, wrapping around) with a different prompt.

    None where all have the same prompt. Rows that start with a rewritten history get the other prompt as well.
    """
    first_B = batch.action_BT.int().argmax(dim=1).tolist()
    group_B = batch.group_E[batch.episode_B].tolist()
    acting = batch.action_BT.any(dim=1).nonzero().squeeze(1).tolist()
    prompts: dict[int, Tensor] = {}
    for b in acting:
        prompts.setdefault(group_B[b], batch.tokens_BT[b, : first_B[b]])
    other = _other_prompts(prompts)
    if other is None:
        return None
    width = batch.tokens_BT.shape[1] + max(len(prompt) for prompt in prompts.values())
    tokens_BT = batch.tokens_BT.new_zeros(len(group_B), width)
    action_BT = batch.action_BT.new_zeros(len(group_B), width)
    allowed_BT = torch.full_like(tokens_BT, -1)
    for b in acting:
        prompt, answer = other[group_B[b]], slice(first_B[b], None)
        moved = torch.cat([prompt, batch.tokens_BT[b, answer]])
        tokens_BT[b, : len(moved)] = moved
        action_BT[b, len(prompt) : len(moved)] = batch.action_BT[b, answer]
        allowed_BT[b, len(prompt) : len(moved)] = batch.allowed_BT[b, answer]
    nothing_BT = torch.full(tokens_BT.shape, torch.nan, dtype=torch.float64)
    return replace(
        batch,
        tokens_BT=tokens_BT,
        action_BT=action_BT,
        logprobs_BT=nothing_BT,
        rewards_BT=torch.zeros_like(nothing_BT),
        allowed_BT=allowed_BT,
        next_BT=torch.full_like(tokens_BT, -1),
    )


def _other_prompts(prompts: Mapping[int, Tensor]) -> dict[int, Tensor] | None:
    """For each group the next prompt, wrapping around, that differs from its own."""
    groups = sorted(prompts)
    prompt_G = [prompts[group] for group in groups]
    ahead = next((i for i, prompt in enumerate(prompt_G) if not torch.equal(prompt, prompt_G[0])), None)
    if ahead is None:
        return None
    other: dict[int, Tensor] = {}
    following = prompt_G[ahead]  # differs from the first; from each group before, as i goes down
    for i in reversed(range(len(groups))):
        after = prompt_G[(i + 1) % len(groups)]
        following = following if torch.equal(after, prompt_G[i]) else after
        other[groups[i]] = following
    return other


def smoothed_sigmoid_loss(logit_P: Tensor, flipped: float = 0.0) -> Tensor:
    """-(1 - flipped) log sigmoid(h) - flipped log sigmoid(-h): cross-entropy with label smoothing."""
    return -(1.0 - flipped) * logsigmoid(logit_P) - flipped * logsigmoid(-logit_P)


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0 without loss of digits (Maechler 2012): two formulas that meet at -ln 2."""
    near = x > -0.6931471805599453
    far = torch.where(near, -1.0, x)  # an infinite gradient near 0 would be NaN in the branch not used
    return torch.where(near, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(far)))


def log_odds(logprob: Tensor) -> Tensor:
    """log(p / (1 - p)) of log p. A p that rounds to 1 counts as the largest number below 1."""
    logprob = logprob.clamp(max=-torch.finfo(logprob.dtype).eps)
    return logprob - log1mexp(logprob)
