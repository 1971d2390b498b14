"""What the policy-gradient algorithms share: scoring a batch under the law it was sampled from, and KL to the start.

Every number here goes through `strop.functional.distributions.log_law`, as the sampler's do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from strop.functional.aggregation import num_actions_E, num_scored, scored_actions, sum_per_pick
from strop.functional.distributions import entropy, gather, log_law, require_full_support
from strop.functional.divergences import KL, estimate, full_kl
from strop.functional.preferences import Pairs, ordered_pairs, require_pairs
from strop.functional.ratios import log_ratio
from strop.optimizer import Optimizer
from strop.types import Batch, Heads, Keep, Last, Max, Mean, Metrics, Policy, Sampling, merge_metrics

Scores = dict[str, Tensor]
Loss = Callable[[Batch, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Metrics]]
"""(micro, logprobs_BT, old_BT, advantage_BT, weight_BT) -> loss and metrics; only logprobs_BT has a gradient."""


class Scorer:
    """Scores one policy under one `Sampling`, and holds the reference that `kl` pulls towards.

    The reference is the policy as it stands when the scorer is made; with kl.weight 0 none is made and none runs.
    """

    def __init__(self, policy: Policy, sampling: Sampling, kl: KL, micro_tokens: int, who: str) -> None:
        require_full_support(sampling, who)
        self.policy, self.sampling, self.kl, self.micro_tokens, self.who = policy, sampling, kl, micro_tokens, who
        self.reference = policy.reference() if kl.weight else None

    def learn(
        self,
        optimizer: Optimizer,
        batch: Batch,
        advantage_BT: Tensor,
        weight_BT: Tensor,
        reference_BT: Tensor,
        loss: Loss,
        keep: Keep = "row",
        epochs: int = 1,
    ) -> Metrics:
        """`epochs` optimiser steps on the same batch.

        With one epoch the old log-probs are the new ones without gradient, so every ratio is exactly 1; with more they
        are the learner's own, scored once before anything moves.
        """
        old_BT = self.whole(batch) if epochs > 1 else None
        metrics: list[Metrics] = [self.kl_metrics(batch, reference_BT)]
        for epoch in range(epochs):
            terms = self._terms(batch, advantage_BT, weight_BT, reference_BT, old_BT, loss, keep, epoch == 0)
            metrics.append(optimizer.step(batch, terms))
        return merge_metrics(metrics)

    def _terms(
        self,
        batch: Batch,
        advantage_BT: Tensor,
        weight_BT: Tensor,
        reference_BT: Tensor,
        old_BT: Tensor | None,
        loss: Loss,
        keep: Keep,
        is_first: bool,
    ) -> Iterator[tuple[Tensor, Metrics]]:
        opinions = (advantage_BT, weight_BT, reference_BT, reference_BT if old_BT is None else old_BT)
        for micro, advantage_bt, weight_bt, reference_bt, old_bt in batch.split(self.micro_tokens, keep, *opinions):
            scores = self.score(micro)
            logprobs_bt = scores["logprobs"]
            old_bt = logprobs_bt.detach() if old_BT is None else old_bt.to(logprobs_bt.dtype)
            weight_bt = weight_bt.to(logprobs_bt.dtype)
            value, metrics = loss(micro, logprobs_bt, old_bt, advantage_bt.to(logprobs_bt.dtype), weight_bt)
            value = value + (weight_bt * self.kl_loss(micro, scores, old_bt, reference_bt)).sum()
            yield value, metrics | (self.metrics(micro, scores) if is_first else {})

    def score(self, micro: Batch) -> Scores:
        """`logprobs` (with gradient) and `entropy` (without) of every action [B, T]; `kl` if the loss wants it."""
        law_NV = None
        if self.reference is not None and self.kl.placement == "loss" and self.kl.estimator == "full":
            law_NV = law_of(self.reference, micro, self.sampling)
        return score(self.policy, micro, self.sampling, law_NV)

    def whole(self, batch: Batch) -> Tensor:
        """The policy's log-probs [B, T] of the whole batch, without gradient."""
        return self._whole(batch, lambda micro: score(self.policy, micro, self.sampling)["logprobs"])

    def reference_logprobs(self, batch: Batch) -> Tensor:
        """The reference's log-probs [B, T]; the sampler's own where there is no reference, so that the KL is 0."""
        require_on_policy(batch, self.who)
        reference = self.reference
        if reference is None:
            return torch.where(batch.action_BT, batch.logprobs_BT, 0.0)
        return self._whole(batch, lambda micro: score(reference, micro, self.sampling)["logprobs"])

    def kl_reward(self, batch: Batch, reference_BT: Tensor) -> Tensor:
        """weight * estimate [B, T], to be taken off each action's reward; 0 where KL is off or in the loss.

        The estimators read the log-probs that the sampler recorded: those of the law that really acted.
        """
        reference = self.reference
        if reference is None or self.kl.placement != "reward":
            return torch.zeros_like(reference_BT)
        if self.kl.estimator == "full":
            exact_BT = self._whole(
                batch,
                lambda micro: score(self.policy, micro, self.sampling, law_of(reference, micro, self.sampling))["kl"],
            )
            return self.kl.weight * exact_BT
        return self.kl.weight * estimate(_log_ratio(batch, reference_BT), self.kl.estimator)

    def kl_loss(self, micro: Batch, scores: Scores, old_BT: Tensor, reference_BT: Tensor) -> Tensor:
        """weight * estimate [B, T] with gradient, for each token's loss; 0 where KL is off or in the reward."""
        if self.reference is None or self.kl.placement != "loss":
            return torch.zeros_like(scores["logprobs"])
        if self.kl.estimator == "full":
            return self.kl.weight * torch.where(micro.action_BT, scores["kl"], 0.0)
        logprobs_BT = scores["logprobs"]
        to_reference_BT = log_ratio(logprobs_BT, reference_BT.to(logprobs_BT.dtype), micro.action_BT)
        if self.kl.estimator == "k3_ratio":
            rho_BT = log_ratio(logprobs_BT, old_BT, micro.action_BT).exp()
            return self.kl.weight * rho_BT * estimate(to_reference_BT, "k3")
        return self.kl.weight * estimate(to_reference_BT, self.kl.estimator)

    def kl_metrics(self, batch: Batch, reference_BT: Tensor) -> Metrics:
        """KL to the start in nats a sequence (k1), averaged over scored episodes; nothing without a reference."""
        if self.reference is None:
            return {}
        total = _log_ratio(batch, reference_BT).sum().item()
        return {"policy/kl": Mean(total, num_scored(batch))}

    def metrics(self, micro: Batch, scores: Scores) -> Metrics:
        """Entropy per token, and the gap between the sampler's log-probs and the trainer's before the policy moves."""
        mask_BT = scored_actions(micro)
        num_tokens = int(mask_BT.sum())
        gap_N = (scores["logprobs"].detach().double() - micro.logprobs_BT)[mask_BT]
        return {
            "policy/entropy": Mean(scores["entropy"].double()[mask_BT].sum().item(), num_tokens),
            "policy/sampler_gap_mean": Mean(gap_N.abs().sum().item(), num_tokens),
            "policy/sampler_gap_bias": Mean(gap_N.sum().item(), num_tokens),
            "policy/sampler_gap_max": Max(gap_N.abs().max().item() if num_tokens else 0.0),
        }

    @torch.no_grad()
    def _whole(self, batch: Batch, read: Callable[[Batch], Tensor]) -> Tensor:
        """Put the micro-batches' results back into [B, T], 0 off the actions."""
        slot_BT = torch.arange(batch.tokens_BT.numel()).view_as(batch.tokens_BT)
        whole_N = torch.zeros(batch.tokens_BT.numel(), dtype=torch.float64)
        for micro, slot_bt in batch.split(self.micro_tokens, "row", slot_BT):
            whole_N[slot_bt.flatten()] = read(micro).double().flatten()
        return torch.where(batch.action_BT, whole_N.view_as(batch.tokens_BT), 0.0)


def score(policy: Policy, batch: Batch, sampling: Sampling, reference_law_NV: Tensor | None = None) -> Scores:
    """`logprobs` (with gradient) and `entropy` (without), [B, T]; given a reference law also the exact `kl`."""

    def reduce(heads: Heads) -> Scores:
        assert heads.logits_NV is not None
        law_NV = log_law(heads.logits_NV, sampling)
        out = {"logprobs": gather(law_NV, heads.tokens_N), "entropy": entropy(law_NV.detach())}
        if reference_law_NV is not None:
            chunk_NV = reference_law_NV[heads.first : heads.first + len(heads.tokens_N)]
            out["kl"] = full_kl(law_NV, chunk_NV)
        return out

    return policy.heads(batch, reduce)


def require_on_policy(batch: Batch, who: str) -> None:
    """Refuse actions without a log-prob: the policy that learns did not sample them."""
    if bool((scored_actions(batch) & batch.logprobs_BT.isnan()).any()):
        raise ValueError(
            f"{who} learns from what its own policy sampled, but some actions have no log-prob (they come "
            "from data, a person, or a sampler that reports none). Use an algorithm that reads demonstrations, "
            "such as SFT."
        )


@torch.no_grad()
def law_of(policy: Policy, micro: Batch, sampling: Sampling) -> Tensor:
    """The whole law [N, V] at every decision of a micro-batch: for the `full` KL only, bounded by `micro_tokens`."""
    laws: list[Tensor] = []

    def reduce(heads: Heads) -> Scores:
        assert heads.logits_NV is not None
        laws.append(log_law(heads.logits_NV, sampling))
        return {}

    policy.heads(micro, reduce)
    return torch.cat(laws)


def _log_ratio(batch: Batch, reference_BT: Tensor) -> Tensor:
    """log mu - log ref [B, T] of what was sampled, 0 off the scored actions (an Unscored one may have no log-prob)."""
    return torch.where(scored_actions(batch), batch.logprobs_BT - reference_BT, 0.0)


# ---------------------------------------------------------------- scores of whole texts


def values_after(policy: Policy, wide: Batch) -> Tensor:
    """[B, T]: the value behind each marked action of `read_after`, at that action; 0 elsewhere."""

    def reduce(heads: Heads) -> Scores:
        assert heads.value_N is not None
        return {"value": heads.value_N}

    value_BT = policy.heads(wide, reduce, frozenset({"value"}))["value"]
    return torch.where(wide.next_BT >= 0, value_BT.roll(-1, dims=1), 0.0)


def text_scores(policy: Policy, wide: Batch) -> Tensor:
    """[E]: the value behind the last token of each pick of `read_after_last`; 0 for picks that are not there."""
    return sum_per_pick(values_after(policy, wide), wide)


# ---------------------------------------------------------------- pairs


@dataclass(frozen=True, slots=True)
class Side:
    """One side of P pairs: the log-prob of each whole answer, the reference's (0 without one), and its tokens."""

    logprob_P: Tensor
    reference_P: Tensor
    length_P: Tensor

    @property
    def ratio_P(self) -> Tensor:
        """log pi(y) - log ref(y), summed over the answer."""
        return self.logprob_P - self.reference_P

    @property
    def mean_P(self) -> Tensor:
        """log pi(y) a token."""
        return self.logprob_P / self.length_P


PairLoss = Callable[[Side, Side], tuple[Tensor, Tensor]]
"""(chosen, rejected) -> loss_P and logit_P, how strongly the policy prefers the chosen answer (0: not at all)."""


class PairScorer:
    """Steps on the strictly ordered pairs of a batch, scored under one law.

    The reference is the policy as it stands when the scorer is made; a loss that does not read it makes none.
    """

    def __init__(self, policy: Policy, sampling: Sampling, micro_tokens: int, who: str, has_reference: bool) -> None:
        require_full_support(sampling, who)
        self.policy, self.sampling, self.micro_tokens, self.who = policy, sampling, micro_tokens, who
        self.reference = policy.reference() if has_reference else None

    def learn(self, optimizer: Optimizer, batch: Batch, loss: PairLoss) -> Metrics:
        """One optimiser step on the mean over prompts of the mean over their pairs."""
        pairs = ordered_pairs(batch)
        require_pairs(pairs, batch, self.who)
        metrics = optimizer.step(batch, self._terms(batch, pairs, loss))
        return metrics | {"preference/pairs": Last(len(pairs.weight_P))}

    def _terms(self, batch: Batch, pairs: Pairs, loss: PairLoss) -> Iterator[tuple[Tensor, Metrics]]:
        for (micro,) in batch.split(self.micro_tokens, "group"):
            here = pairs.within(micro)
            chosen, rejected = self._sides(micro, here)
            loss_P, logit_P = loss(chosen, rejected)
            value = (here.weight_P.to(loss_P.dtype) * loss_P).sum()
            yield value, _pair_metrics(chosen, rejected, logit_P)

    def _sides(self, micro: Batch, pairs: Pairs) -> tuple[Side, Side]:
        logprob_E = sum_per_pick(score(self.policy, micro, self.sampling)["logprobs"], micro)
        reference_E = torch.zeros_like(logprob_E)
        if self.reference is not None:
            with torch.no_grad():
                reference_E = sum_per_pick(score(self.reference, micro, self.sampling)["logprobs"], micro)
        length_E = num_actions_E(micro)
        chosen, rejected = (
            Side(logprob_E[side], reference_E[side], length_E[side]) for side in (pairs.chosen_P, pairs.rejected_P)
        )
        return chosen, rejected


def _pair_metrics(chosen: Side, rejected: Side, logit_P: Tensor) -> Metrics:
    """How often and how strongly the chosen answer is preferred, and where both log-probs go (they may both fall)."""
    num_pairs, logit_P = len(logit_P), logit_P.detach().double()
    return {
        "preference/accuracy": Mean((logit_P > 0).sum().item(), num_pairs),
        "preference/logit": Mean(logit_P.sum().item(), num_pairs),
        "preference/chosen_logprob": Mean(chosen.logprob_P.detach().double().sum().item(), num_pairs),
        "preference/rejected_logprob": Mean(rejected.logprob_P.detach().double().sum().item(), num_pairs),
    }
