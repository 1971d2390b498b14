"""The learner of the actor-critic algorithms: a policy and a critic, trained together over micro-batches.

An algorithm passes its own functions to `ActorCritic`: the estimate of advantages and value targets, and the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import final

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.functional.aggregation import scored_actions, token_mean
from strop.functional.bounds import check_at_least, check_not_negative, check_positive, check_share
from strop.functional.corrections import correct
from strop.functional.distributions import entropy, gather, logprobs_of, require_full_support
from strop.functional.divergences import KLController
from strop.functional.values import explained_variance, value_loss
from strop.learners.heads import VALUE, decided, read_batch, state_value
from strop.learners.logprobs import Read, logprobs_of_batch, require_on_policy, sampler_metrics
from strop.learners.policy_gradient import Loss, PolicyGradientConfig
from strop.learners.reference import Reference
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
    """Options of the critic.

    weight    weight of the value loss
    clip      PPO's value clip: how far a value counts from its old one; none is off
    separate  a critic network of its own, a copy of the policy at the start, instead of a value head
    warmup    batches that teach a separate critic alone: the policy stays as it is until its values mean something
              (value pretraining: Yuan et al. 2025, 2503.01491)
    """

    weight: float = 1.0
    clip: float | None = None
    separate: bool = False
    warmup: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        check_not_negative("algorithm.critic.weight", self.weight)
        check_positive("algorithm.critic.clip", self.clip, none="turns the value clip off")
        check_at_least("algorithm.critic.warmup", self.warmup, 0)
        if self.warmup and not self.separate:
            raise ValueError(
                f"algorithm.critic.warmup={self.warmup}: a value head shares its network with the policy, which would "
                "move with it: set algorithm.critic.separate=true."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorCriticConfig(PolicyGradientConfig):
    """Options of every actor-critic algorithm. A correction multiplies the critic's loss too.

    discount  discount factor per decision; 1 is undiscounted
    critic    the critic: weight of its loss, value clip, and whether it is a network of its own
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
    """Advantages of the actions and targets of the critic [B, T], with metrics."""

    advantage_BT: Tensor
    target_BT: Tensor
    metrics: Metrics = field(default_factory=dict)


Estimator = Callable[[Batch, Tensor, Tensor, Tensor], Estimate]
"""(batch, rewards_BT minus the KL penalty, value_BT, logprobs_BT before the update) -> advantages and targets."""


@dataclass(frozen=True, slots=True)
class _Opinions:
    """What the loss reads at each slot [B, T], without gradient.

    `old` are the log-probs in the denominator of the ratios, `value` is V before the update, `target` is V's target.
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
    """A policy and its critic, one network with two heads or two networks: `epochs` passes of `minibatches` steps each.

    KL is subtracted from the reward, token by token, so the critic learns it too.

    name           the algorithm's name in messages
    reads_old      the loss or the estimate needs the policy's log-probs before the update
    kl_controller  adapts the weight of the KL after each batch; none keeps it
    replays        batches may come from a replay memory of older policies
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
            raise ValueError(f"{name} has KL in the reward, where its critic learns it: set kl.placement=reward.")
        require_values(policy)
        require_full_support(sampling, name)
        self.config, self.policy, self.sampling, self.micro_tokens = config, policy, sampling, micro_tokens
        self.estimate, self.loss, self.epochs, self.minibatches, self.seed = estimate, loss, epochs, minibatches, seed
        self.reads_old, self.replays = reads_old or config.correction is not None, replays
        self.name, self.kl_controller = name, kl_controller
        self.reference = Reference(config.kl, policy, sampling, micro_tokens)
        self.critic: Policy | None = policy.twin() if config.critic.separate else None
        self.optimizer = config.optimizer.build(self.parameters(), policy.lock)
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
        all_metrics = [kl, metrics, _critic_metrics(batch, opinions), self._adapt_kl(batch, kl)]
        for i, rows in enumerate(self._minibatches(batch)):
            all_metrics.append(self._step(batch, opinions, rows, has_acted=i == 0 and self._is_fresh(batch)))
        self.num_updates += 1
        opinion = {"advantage": opinions.advantage_BT, "value": opinions.value_BT}
        return Update(merge_metrics(all_metrics), per_token=opinion)

    def _opinions(self, batch: Batch, rewards_BT: Tensor) -> tuple[_Opinions, Metrics]:
        """The opinions on the whole batch; their weights are the factors of the correction."""
        value_BT = self._values(batch)
        old_BT = torch.zeros_like(value_BT)
        if self.reads_old:
            old_BT = logprobs_of_batch(self.policy, batch, self.sampling, self.micro_tokens)
        estimate = self.estimate(batch, rewards_BT, value_BT, old_BT)
        factor_BT, metrics = correct(self.config.correction, batch, old_BT, estimate.advantage_BT)
        opinions = _Opinions(estimate.advantage_BT, factor_BT, old_BT, value_BT, estimate.target_BT)
        return opinions, estimate.metrics | metrics

    def _adapt_kl(self, batch: Batch, kl: Metrics) -> Metrics:
        """Set the KL weight of the next batch, and log that of this one."""
        if self.kl_controller is None:
            return {}
        weight, num_episodes = self.reference.kl.weight, int((batch.weight_E > 0).sum())
        self.reference.set_weight(self.kl_controller.after(weight, kl["policy/kl"].value, num_episodes))
        return {"policy/kl_weight": Last(weight)}

    def _is_fresh(self, batch: Batch) -> bool:
        """Whether the current weights sampled this batch, so that the sampler's log-probs must equal the learner's.

        With replay this is certain of the first batch only, and only if it is not data.
        """
        return not self.replays or (self.num_updates == 0 and not bool((batch.source_E == DATA).any()))

    def _minibatches(self, batch: Batch) -> Iterator[list[int]]:
        """Row numbers of each optimiser step: whole episodes, shuffled in each epoch."""
        owner_B, parts = batch.episode_B.tolist(), self.minibatches
        num_episodes = len(batch.group_E)
        for epoch in range(self.epochs):
            rng = stream(self.seed, "minibatches", self.num_updates, epoch)
            part_E = (rng.permutation(num_episodes) % parts).tolist() if parts > 1 else [0] * num_episodes
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
        """The loss of each micro-batch: policy - entropy * the distribution's entropy + critic.weight * value; of the
        critic alone while it warms up."""
        critic, entropy_weight = self.config.critic, self.config.entropy
        for micro, _, *parts in batch.split(self.micro_tokens, "row", *opinions.tensors):
            read = self._read(micro)
            dtype = read["logprobs"].dtype
            advantage_bt, weight_bt, old_bt, value_bt, target_bt = (part.to(dtype) for part in parts)
            loss, metrics = self.loss(micro, read["logprobs"], old_bt, advantage_bt, weight_bt)
            if entropy_weight:
                loss = loss - entropy_weight * (weight_bt * read["entropy"]).sum()
            error_bt = value_loss(read["value"].to(dtype), target_bt, value_bt, critic.clip)
            error = critic.weight * (weight_bt * error_bt).sum()
            loss = error if self.num_updates < critic.warmup else loss + error
            measured = sampler_metrics(micro, read) if has_acted else {}
            yield Term(loss, metrics | measured | _value_metrics(micro, error_bt))

    def _values(self, batch: Batch) -> Tensor:
        """V [B, T] at every decision slot of the batch, 0 elsewhere, in float64, without gradient."""
        reader = self.policy if self.critic is None else self.critic
        return read_batch(batch, self.micro_tokens, lambda micro: reader.heads(micro, state_value, VALUE)["value"])

    def _read(self, micro: Batch) -> Read:
        """`logprobs`, `entropy` and `value` [B, T] of a micro-batch, all with gradient."""
        if self.critic is not None:
            return decided(self.policy, micro, self._actions) | self.critic.heads(micro, state_value, VALUE)
        return decided(self.policy, micro, lambda heads: self._actions(heads) | state_value(heads), BOTH)

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
    """The mean value, and how well the critic predicted the targets before this update."""
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
