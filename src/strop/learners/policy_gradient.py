"""What the policy-gradient algorithms share: a batch's log-probs as it was sampled, and KL to the start.

Every number here goes through `strop.functional.distributions.logprobs_of`, as the sampler's go through `distribution`
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from strop.functional.aggregation import num_scored, scored_actions
from strop.functional.corrections import Correction, correction_metrics, correction_weight
from strop.functional.distributions import entropy, gather, logprobs_of, require_full_support
from strop.functional.divergences import KL, estimate, full_kl
from strop.functional.ratios import log_ratio
from strop.learners.values import whole
from strop.optimizer import Optimizer
from strop.types import Batch, Heads, Keep, Max, Mean, Metrics, Policy, Sampling, merge_metrics

Scores = dict[str, Tensor]
Loss = Callable[[Batch, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Metrics]]
"""(micro, logprobs_BT, old_BT, advantage_BT, weight_BT) -> loss and metrics; only logprobs_BT has a gradient."""


class Scorer:
    """Scores one policy under one `Sampling`, and holds the reference that `kl` pulls towards.

    The reference is the policy as it stands when the scorer is made; with kl.weight 0 none is made and none runs.
    `entropy` is the weight of the distribution's entropy, which is taken off each token's loss; `correction` weighs
    samples of another policy.
    """

    def __init__(
        self,
        policy: Policy,
        sampling: Sampling,
        kl: KL,
        micro_tokens: int,
        who: str,
        entropy: float = 0.0,
        correction: Correction | None = None,
    ) -> None:
        require_full_support(sampling, who)
        self.policy, self.sampling, self.kl, self.micro_tokens, self.who = policy, sampling, kl, micro_tokens, who
        self.entropy, self.correction = entropy, correction
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
        """`epochs` optimiser steps on the same batch. The loss vanishes with the advantage and with the weight: rows
        where all of them are 0 (a group of equal rewards) are read for the metrics, and not back-propagated.

        With one epoch the old log-probs are the new ones without gradient, so every ratio is exactly 1; with more they
        are the learner's own, scored once before anything moves. A correction needs these too: one that weighs each
        token by itself finds them on the way.
        """
        off_BT = None
        if epochs == 1 and self.correction is not None and self.correction.is_local:
            off_BT = torch.zeros_like(advantage_BT, dtype=torch.float64)
        old_BT = self.whole(batch) if epochs > 1 or (self.correction is not None and off_BT is None) else None
        metrics: list[Metrics] = [self.kl_metrics(batch, reference_BT)]
        if old_BT is not None:
            factor_BT, corrected = self.correct(batch, old_BT)
            weight_BT = weight_BT * factor_BT
            metrics.append(corrected)
        for epoch in range(epochs):
            terms = self._terms(batch, advantage_BT, weight_BT, reference_BT, old_BT, off_BT, loss, keep, epoch == 0)
            metrics.append(optimizer.step(batch, terms))
        if off_BT is not None and self.correction is not None:
            factor_BT = correction_weight(self.correction, off_BT, batch)
            metrics.append(correction_metrics(self.correction, off_BT, factor_BT, batch))
        return merge_metrics(metrics)

    def _terms(
        self,
        batch: Batch,
        advantage_BT: Tensor,
        weight_BT: Tensor,
        reference_BT: Tensor,
        old_BT: Tensor | None,
        off_BT: Tensor | None,
        loss: Loss,
        keep: Keep,
        is_first: bool,
    ) -> Iterator[tuple[Tensor, Metrics]]:
        """The loss of every micro-batch. `off_BT` is filled with log pi_old - log mu, and weighs, where it is given."""
        place_BT = torch.arange(advantage_BT.numel()).view(advantage_BT.shape)
        opinions = (advantage_BT, weight_BT, reference_BT, reference_BT if old_BT is None else old_BT, place_BT)
        for part, teaches, rows in self._by_signal(batch, advantage_BT * weight_BT):
            chosen = [opinion_BT[rows] for opinion_BT in opinions]
            for micro, advantage_bt, weight_bt, reference_bt, old_bt, place_bt in part.split(
                self.micro_tokens, keep, *chosen
            ):
                with torch.set_grad_enabled(teaches):
                    scores = self.score(micro)
                    logprobs_bt = scores["logprobs"]
                    old_bt = logprobs_bt.detach() if old_BT is None else old_bt.to(logprobs_bt.dtype)
                    weight_bt = weight_bt.to(logprobs_bt.dtype)
                    if off_BT is not None:
                        weight_bt = weight_bt * self._weigh_and_note(micro, old_bt, off_BT, place_bt)
                    value, metrics = loss(micro, logprobs_bt, old_bt, advantage_bt.to(logprobs_bt.dtype), weight_bt)
                    value = value + (weight_bt * self.kl_loss(micro, scores, old_bt, reference_bt)).sum()
                    if self.entropy:
                        value = value - self.entropy * (weight_bt * scores["entropy"]).sum()
                yield value, metrics | (self.metrics(micro, scores) if is_first else {})

    def _by_signal(self, batch: Batch, signal_BT: Tensor) -> Iterator[tuple[Batch, bool, list[int]]]:
        """(part, whether it teaches, its rows): the rows of picks with a signal, and the others.

        With an entropy bonus or a KL in the loss every row teaches. Where none has a signal all of them do, so that the
        optimiser sees gradients of 0 and its momentum goes on as it would.
        """
        signal_E = signal_BT.new_zeros(len(batch.group_E)).index_add(0, batch.episode_B, signal_BT.abs().sum(dim=1))
        teaches_B = (signal_E > 0)[batch.episode_B]
        is_kl_loss = self.reference is not None and self.kl.placement == "loss"
        if self.entropy or is_kl_loss or not bool(teaches_B.any()) or bool(teaches_B.all()):
            yield batch, True, list(range(len(teaches_B)))
            return
        for teaches in (True, False):
            rows = (teaches_B == teaches).nonzero().flatten().tolist()
            yield batch.rows(rows), teaches, rows

    def score(self, micro: Batch) -> Scores:
        """`logprobs` and `entropy` (with gradient if it is in the loss) of every action [B, T]; `kl` if wanted."""
        logprobs_NV = None
        if self.reference is not None and self.kl.placement == "loss" and self.kl.estimator == "full":
            logprobs_NV = full_logprobs(self.reference, micro, self.sampling)
        return score(self.policy, micro, self.sampling, logprobs_NV, learns_entropy=self.entropy != 0.0)

    def correct(self, batch: Batch, old_BT: Tensor) -> tuple[Tensor, Metrics]:
        """The correction's factor [B, T] on each action's loss, and its metrics; 1 and none without a correction."""
        if self.correction is None:
            return torch.ones_like(old_BT), {}
        off_BT = log_ratio(old_BT, batch.logprobs_BT, scored_actions(batch))
        factor_BT = correction_weight(self.correction, off_BT, batch)
        return factor_BT, correction_metrics(self.correction, off_BT, factor_BT, batch)

    def _weigh_and_note(self, micro: Batch, old_bt: Tensor, off_BT: Tensor, place_bt: Tensor) -> Tensor:
        """The correction's factor [b, t] on a micro-batch; `off_BT` keeps its log-ratios for the metrics."""
        assert self.correction is not None
        off_bt = log_ratio(old_bt, micro.logprobs_BT, scored_actions(micro))
        off_BT.view(-1)[place_bt.flatten()] = off_bt.flatten().to(off_BT.dtype)
        return correction_weight(self.correction, off_bt, micro).to(old_bt.dtype)

    def whole(self, batch: Batch) -> Tensor:
        """The policy's log-probs [B, T] of the whole batch, without gradient."""
        return self._whole(batch, lambda micro: score(self.policy, micro, self.sampling)["logprobs"])

    def reference_logprobs(self, batch: Batch) -> Tensor:
        """The reference's log-probs [B, T]; the sampler's own where there is no reference, so that the KL is 0."""
        require_on_policy(batch, self.who)
        reference = self.reference
        if reference is None:
            return batch.logprobs_BT
        return self._whole(batch, lambda micro: score(reference, micro, self.sampling)["logprobs"])

    def kl_reward(self, batch: Batch, reference_BT: Tensor) -> Tensor:
        """weight * estimate [B, T], to be taken off each action's reward; 0 where KL is off or in the loss.

        The estimators read the log-probs that the sampler recorded: those of the distribution that really acted.
        """
        reference = self.reference
        if reference is None or self.kl.placement != "reward":
            return torch.zeros_like(reference_BT)
        if self.kl.estimator == "full":
            exact_BT = self._whole(
                batch,
                lambda micro: score(self.policy, micro, self.sampling, full_logprobs(reference, micro, self.sampling))[
                    "kl"
                ],
            )
            return self.kl.weight * exact_BT
        return self.kl.weight * estimate(_log_ratio(batch, reference_BT), self.kl.estimator)

    def kl_loss(self, micro: Batch, scores: Scores, old_BT: Tensor, reference_BT: Tensor) -> Tensor:
        """weight * estimate [B, T] with gradient, for each token's loss; 0 where KL is off or in the reward."""
        if self.reference is None or self.kl.placement != "loss":
            return torch.zeros_like(scores["logprobs"])
        if self.kl.estimator == "full":
            return self.kl.weight * scores["kl"]
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
        if not num_tokens:
            return {}
        gap_N = (scores["logprobs"].detach().double() - micro.logprobs_BT)[mask_BT]
        return {
            "policy/entropy": Mean(scores["entropy"].detach().double()[mask_BT].sum().item(), num_tokens),
            "policy/sampler_gap_mean": Mean(gap_N.abs().sum().item(), num_tokens),
            "policy/sampler_gap_bias": Mean(gap_N.sum().item(), num_tokens),
            "policy/sampler_gap_max": Max(gap_N.abs().max().item()),
        }

    def _whole(self, batch: Batch, read: Callable[[Batch], Tensor]) -> Tensor:
        """What `read` says of the whole batch [B, T], 0 off the actions."""
        return torch.where(batch.action_BT, whole(batch, self.micro_tokens, read, keep="row"), 0.0)


def corrected(config: Any, who: str, sampler: str) -> Any:
    """The config of an algorithm that learns from another engine's samples: by default their tokens are truncated."""
    if not hasattr(config, "correction"):
        raise ValueError(
            f"sampler={sampler} is another engine than the policy's own, so its log-probs differ a little, and {who} "
            "has no correction for that. Take an algorithm that has one, such as GRPO, or leave sampler out."
        )
    return config if config.correction is not None else replace(config, correction=Correction())


def score(
    policy: Policy,
    batch: Batch,
    sampling: Sampling,
    reference_logprobs_NV: Tensor | None = None,
    learns_entropy: bool = False,
) -> Scores:
    """`logprobs` (with gradient) and the whole distribution's `entropy`, [B, T]; with a reference's the exact `kl`.

    Minus the log-prob of what was sampled has the entropy's value in expectation, and an expected gradient of 0: only
    the whole distribution can be learned from, and it is with `learns_entropy`.
    """

    def reduce(heads: Heads) -> Scores:
        assert heads.logits_NV is not None
        logprobs_NV = logprobs_of(heads.logits_NV, sampling)
        out = {
            "logprobs": gather(logprobs_NV, heads.tokens_N),
            "entropy": entropy(logprobs_NV if learns_entropy else logprobs_NV.detach()),
        }
        if reference_logprobs_NV is not None:
            chunk_NV = reference_logprobs_NV[heads.first : heads.first + len(heads.tokens_N)]
            out["kl"] = full_kl(logprobs_NV, chunk_NV)
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
def full_logprobs(policy: Policy, micro: Batch, sampling: Sampling) -> Tensor:
    """Log-probs [N, V] of the whole vocabulary at every decision: for the `full` KL only, bounded by `micro_tokens`."""
    distributions: list[Tensor] = []

    def reduce(heads: Heads) -> Scores:
        assert heads.logits_NV is not None
        distributions.append(logprobs_of(heads.logits_NV, sampling))
        return {}

    policy.heads(micro, reduce)
    return torch.cat(distributions)


def _log_ratio(batch: Batch, reference_BT: Tensor) -> Tensor:
    """log mu - log ref [B, T] of what was sampled, 0 off the scored actions (an Unscored one may have no log-prob)."""
    return torch.where(scored_actions(batch), batch.logprobs_BT - reference_BT, 0.0)
