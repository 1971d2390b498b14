"""What the actor-critic algorithms share: a policy with values, read and trained in one pass over micro-batches.

An algorithm is the functions that it hands to `ActorCritic`: how it estimates advantages and targets, and which loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import final

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.functional.aggregation import scored_actions, token_mean
from strop.functional.bounds import check_not_negative, check_positive, check_share
from strop.functional.corrections import correct
from strop.functional.distributions import entropy, gather, logprobs_of, require_full_support
from strop.functional.divergences import KLController
from strop.functional.values import explained_variance, value_loss
from strop.learners.logprobs import Read, logprobs_of_batch, require_on_policy, sampler_metrics
from strop.learners.policy_gradient import Loss, PolicyGradientConfig
from strop.learners.reference import Reference
from strop.learners.values import VALUE, state_value, whole
from strop.policies.demands import require_values
from strop.streams import stream
from strop.types import (
    Batch,
    Heads,
    Last,
    Mean,
    Metrics,
    Policy,
    Sampling,
    Source,
    State,
    Term,
    Update,
    Want,
    check_fields,
    merge_metrics,
)

BOTH: frozenset[Want] = frozenset({"logits", "value"})
DATA = tuple(Source).index(Source.DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Critic:
    """How values are learnt.

    weight    of their loss
    clip      how far a value may move from its old one in a batch (PPO); none is off
    separate  reads them from a network of their own, a twin of the policy at the start, instead of a second head
    """

    weight: float = 1.0
    clip: float | None = None
    separate: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_not_negative("algorithm.critic.weight", self.weight)
        check_positive("algorithm.critic.clip", self.clip, none="turns the value clip off")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorCriticConfig(PolicyGradientConfig):
    """What the algorithms of the family can be told. A correction weighs the critic's loss too.

    discount  what a reward counts for one decision earlier; 1 counts all alike
    critic    how values are learnt: weight, value clip, and whether by a network of their own
    """

    discount: float = 1.0
    critic: Critic = field(default_factory=Critic)

    @property
    def heads(self) -> frozenset[Want]:
        return BOTH

    def __post_init__(self) -> None:
        PolicyGradientConfig.__post_init__(self)
        check_share("algorithm.discount", self.discount)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Advantages of the actions, and what the critic learns, [B, T]; and what is worth logging of them."""

    advantage_BT: Tensor
    target_BT: Tensor
    metrics: Metrics = field(default_factory=dict)


Estimator = Callable[[Batch, Tensor, Tensor, Tensor], Estimate]
"""(batch, rewards_BT less the KL, value_BT, logprobs_BT of the policy as it stands) -> advantages and targets."""


@dataclass(frozen=True, slots=True)
class _Opinions:
    """What an update thinks of each slot [B, T]: all are numbers, none carries a gradient.

    `old` are the log-probs that ratios are taken to, `value` is V before the update, `target` what V learns.
    """

    advantage_BT: Tensor
    weight_BT: Tensor
    old_BT: Tensor
    value_BT: Tensor
    target_BT: Tensor

    def rows(self, rows: list[int]) -> _Opinions:
        """The opinions on these rows."""
        return _Opinions(*(tensor_BT[rows] for tensor_BT in self.tensors))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The five tensors, in the order of the fields."""
        return (self.advantage_BT, self.weight_BT, self.old_BT, self.value_BT, self.target_BT)


@final
class ActorCritic:
    """A policy and its critic, one network with two heads or two networks: `epochs` passes in `minibatches` steps.

    KL to the start is taken in the reward, token by token, where the critic sees it.

    name           what messages call the algorithm
    reads_old      the loss or the estimate reads the policy's log-probs as it stands
    kl_controller  steers the weight of the KL after each batch; none keeps it
    replays        the batch may be drawn from a memory of what older policies did
    """

    def __init__(
        self,
        name: str,
        config: ActorCriticConfig,
        policy: Policy,
        sampling: Sampling,
        micro_tokens: int,
        seed: int,
        *,
        estimate: Estimator,
        loss: Loss,
        epochs: int = 1,
        minibatches: int = 1,
        reads_old: bool = True,
        kl_controller: KLController | None = None,
        replays: bool = False,
    ) -> None:
        if config.kl.placement != "reward":
            raise ValueError(f"{name} takes KL in the reward, where its critic sees it: set kl.placement=reward.")
        require_values(policy)
        require_full_support(sampling, name)
        self.config, self.policy, self.sampling, self.micro_tokens = config, policy, sampling, micro_tokens
        self.estimate, self.loss, self.epochs, self.minibatches, self.seed = estimate, loss, epochs, minibatches, seed
        self.reads_old, self.replays = reads_old or config.correction is not None, replays
        self.name, self.kl_controller = name, kl_controller
        self.reference = Reference(config.kl, policy, sampling, micro_tokens)
        self.critic: Policy | None = policy.twin() if config.critic.separate else None
        self.optimizer = config.optimizer.build(self.parameters())
        self.num_updates = 0

    def parameters(self) -> list[Parameter]:
        """The policy's, then the critic's own."""
        return self.policy.parameters() + ([] if self.critic is None else self.critic.parameters())

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        require_on_policy(batch, self.name)
        reference_BT = self.reference.logprobs(batch)
        opinions, metrics = self._opinions(batch, batch.rewards_BT - self.reference.penalty(batch, reference_BT))
        kl = self.reference.metrics(batch, reference_BT)
        all_metrics = [kl, metrics, _critic_metrics(batch, opinions), self._steered(batch, kl)]
        for i, rows in enumerate(self._minibatches(batch)):
            all_metrics.append(self._step(batch, opinions, rows, has_acted=i == 0 and self._is_fresh(batch)))
        self.num_updates += 1
        opinion = {"advantage": opinions.advantage_BT, "value": opinions.value_BT}
        return Update(merge_metrics(all_metrics), per_token=opinion)

    def _opinions(self, batch: Batch, rewards_BT: Tensor) -> tuple[_Opinions, Metrics]:
        """Of the whole batch; the factors of the correction are the weights."""
        value_BT = self._values(batch)
        old_BT = torch.zeros_like(value_BT)
        if self.reads_old:
            old_BT = logprobs_of_batch(self.policy, batch, self.sampling, self.micro_tokens)
        estimate = self.estimate(batch, rewards_BT, value_BT, old_BT)
        factor_BT, metrics = correct(self.config.correction, batch, old_BT, estimate.advantage_BT)
        opinions = _Opinions(estimate.advantage_BT, factor_BT, old_BT, value_BT, estimate.target_BT)
        return opinions, estimate.metrics | metrics

    def _steered(self, batch: Batch, kl: Metrics) -> Metrics:
        """Set the weight of the KL for the next batch; that of this one is logged."""
        if self.kl_controller is None:
            return {}
        weight, num_episodes = self.reference.kl.weight, int((batch.weight_E > 0).sum())
        self.reference.set_weight(self.kl_controller.after(weight, kl["policy/kl"].value, num_episodes))
        return {"policy/kl_weight": Last(weight)}

    def _is_fresh(self, batch: Batch) -> bool:
        """Whether the weights of now drew this batch, so that the sampler's log-probs must be ours.

        Of replayed batches only the very first is sure to be so, and only if it was played here.
        """
        return not self.replays or (self.num_updates == 0 and not bool((batch.source_E == DATA).any()))

    def _minibatches(self, batch: Batch) -> Iterator[list[int]]:
        """Row numbers of each optimiser step: whole episodes, dealt out anew in each epoch."""
        owner_B, parts = batch.episode_B.tolist(), self.minibatches
        num_episodes = len(batch.group_E)
        for epoch in range(self.epochs):
            dice = stream(self.seed, "minibatches", self.num_updates, epoch)
            part_E = (dice.permutation(num_episodes) % parts).tolist() if parts > 1 else [0] * num_episodes
            for part in range(parts):
                rows = [b for b, e in enumerate(owner_B) if part_E[e] == part]
                if rows:
                    yield rows

    def _step(self, batch: Batch, opinions: _Opinions, rows: list[int], has_acted: bool) -> Metrics:
        some, own = batch.rows(rows), opinions.rows(rows)
        if not bool(scored_actions(some).any()):
            return {}
        own = replace(own, weight_BT=token_mean(some) * own.weight_BT)
        return self.optimizer.step(batch, self._terms(some, own, has_acted)).metrics

    def _terms(self, batch: Batch, opinions: _Opinions, has_acted: bool) -> Iterator[Term]:
        """The loss of each micro-batch: policy + critic.weight * value - entropy * the distribution's entropy."""
        critic, entropy_weight = self.config.critic, self.config.entropy
        for micro, _, *parts in batch.split(self.micro_tokens, "row", *opinions.tensors):
            read = self._read(micro)
            dtype = read["logprobs"].dtype
            advantage_bt, weight_bt, old_bt, value_bt, target_bt = (part.to(dtype) for part in parts)
            loss, metrics = self.loss(micro, read["logprobs"], old_bt, advantage_bt, weight_bt)
            error_bt = value_loss(read["value"].to(dtype), target_bt, value_bt, critic.clip)
            loss = loss + critic.weight * (weight_bt * error_bt).sum()
            if entropy_weight:
                loss = loss - entropy_weight * (weight_bt * read["entropy"]).sum()
            measured = sampler_metrics(micro, read) if has_acted else {}
            yield Term(loss, metrics | measured | _value_metrics(micro, error_bt))

    def _values(self, batch: Batch) -> Tensor:
        """V [B, T] at every decision slot of the batch, 0 elsewhere, in float64, without gradient."""
        reader = self.policy if self.critic is None else self.critic
        return whole(batch, self.micro_tokens, lambda micro: reader.heads(micro, state_value, VALUE)["value"])

    def _read(self, micro: Batch) -> Read:
        """`logprobs`, `entropy` and `value` [B, T] of a micro-batch, all with gradient."""
        if self.critic is not None:
            return self.policy.heads(micro, self._actions) | self.critic.heads(micro, state_value, VALUE)
        return self.policy.heads(micro, lambda heads: self._actions(heads) | state_value(heads), BOTH)

    def _actions(self, heads: Heads) -> Read:
        assert heads.logits_NV is not None
        logprobs_NV = logprobs_of(heads.logits_NV, self.sampling)
        return {"logprobs": gather(logprobs_NV, heads.tokens_N), "entropy": entropy(logprobs_NV)}

    def state_dict(self) -> State:
        critic = {} if self.critic is None else {"critic": self.critic.state_dict()}
        steered = {} if self.kl_controller is None else {"kl_weight": self.reference.kl.weight}
        return {"optimizer": self.optimizer.state_dict(), "num_updates": self.num_updates, **critic, **steered}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_updates = state["num_updates"]
        if self.kl_controller is not None:
            self.reference.set_weight(state["kl_weight"])
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])


def _critic_metrics(batch: Batch, opinions: _Opinions) -> Metrics:
    """How well the critic knew the targets before it learnt from them."""
    mask_BT = scored_actions(batch)
    known = explained_variance(opinions.value_BT[mask_BT], opinions.target_BT[mask_BT])
    num_tokens = int(mask_BT.sum())
    return {
        "value/mean": Mean(opinions.value_BT[mask_BT].sum().item(), num_tokens),
        **({} if known != known else {"value/explained_variance": Mean(known, 1)}),
    }


def _value_metrics(micro: Batch, error_BT: Tensor) -> Metrics:
    mask_BT = scored_actions(micro)
    return {"value/loss": Mean(error_BT.detach().double()[mask_BT].sum().item(), int(mask_BT.sum()))}
