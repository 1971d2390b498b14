"""What the actor-critic algorithms share: a policy with values, read and trained in one pass over micro-batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import Parameter

from strop.functional.aggregation import scored_actions
from strop.functional.bounds import check_not_negative, check_positive
from strop.functional.corrections import Correction
from strop.functional.distributions import entropy, gather, logprobs_of
from strop.functional.divergences import KL
from strop.functional.values import explained_variance, value_loss
from strop.learners.policy_gradient import Loss, Scorer, Scores
from strop.learners.values import VALUE, state_value, whole
from strop.policies.demands import require_values
from strop.types import Batch, Heads, Mean, Metrics, Policy, Sampling, State, Want, check_fields

BOTH: frozenset[Want] = frozenset({"logits", "value"})


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


@dataclass(frozen=True, slots=True)
class Opinions:
    """What an update thinks of each slot [B, T]: all are numbers, none carries a gradient.

    `old` are the log-probs that ratios are taken to, `value` is V before the update, `target` what V learns.
    """

    advantage_BT: Tensor
    weight_BT: Tensor
    old_BT: Tensor
    value_BT: Tensor
    target_BT: Tensor

    def rows(self, rows: list[int]) -> Opinions:
        """The opinions on these rows."""
        return Opinions(*(tensor_BT[rows] for tensor_BT in self.tensors))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in order."""
        return (self.advantage_BT, self.weight_BT, self.old_BT, self.value_BT, self.target_BT)


class ActorCritic:
    """A policy and its critic: one network with two heads, or two networks.

    KL to the start is taken in the reward, token by token, where the critic sees it.
    """

    def __init__(
        self,
        policy: Policy,
        sampling: Sampling,
        kl: KL,
        micro_tokens: int,
        critic: Critic,
        who: str,
        correction: Correction | None = None,
    ) -> None:
        if kl.placement != "reward":
            raise ValueError(f"{who} takes KL in the reward, where its critic sees it: set kl.placement=reward.")
        require_values(policy)
        self.scorer = Scorer(policy, sampling, kl, micro_tokens, who, correction=correction)
        self.policy, self.sampling, self.micro_tokens = policy, sampling, micro_tokens
        self.config = critic
        self.critic: Policy | None = policy.twin() if critic.separate else None

    def parameters(self) -> list[Parameter]:
        """The policy's, then the critic's own."""
        return self.policy.parameters() + ([] if self.critic is None else self.critic.parameters())

    def use_kl_weight(self, weight: float) -> None:
        """From now on."""
        self.scorer.kl = replace(self.scorer.kl, weight=weight)

    def values(self, batch: Batch) -> Tensor:
        """V [B, T] at every decision slot of the batch, 0 elsewhere, in float64, without gradient."""
        reader = self.policy if self.critic is None else self.critic
        return whole(batch, self.micro_tokens, lambda micro: reader.heads(micro, state_value, VALUE)["value"])

    def read(self, micro: Batch) -> Scores:
        """`logprobs`, `entropy` and `value` [B, T] of a micro-batch, all with gradient."""
        if self.critic is not None:
            return self.policy.heads(micro, self._distribution) | self.critic.heads(micro, state_value, VALUE)
        return self.policy.heads(micro, lambda heads: self._distribution(heads) | state_value(heads), BOTH)

    def state_dict(self) -> State:
        """The separate critic, if there is one; the policy is kept by the run."""
        return {} if self.critic is None else {"critic": self.critic.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore it."""
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])

    def _distribution(self, heads: Heads) -> Scores:
        assert heads.logits_NV is not None
        logprobs_NV = logprobs_of(heads.logits_NV, self.sampling)
        return {"logprobs": gather(logprobs_NV, heads.tokens_N), "entropy": entropy(logprobs_NV)}

    def terms(
        self,
        batch: Batch,
        opinions: Opinions,
        policy_loss: Loss,
        entropy_weight: float,
        has_acted: bool,
    ) -> Iterator[tuple[Tensor, Metrics]]:
        """(loss, metrics) of each micro-batch: policy + critic.weight * value - entropy_weight * entropy.

        `has_acted` says that the very weights of now drew this batch, so that the sampler's log-probs must be ours.
        """
        for micro, *parts in batch.split(self.micro_tokens, "row", *opinions.tensors):
            scores = self.read(micro)
            dtype = scores["logprobs"].dtype
            advantage_bt, weight_bt, old_bt, value_bt, target_bt = (part.to(dtype) for part in parts)
            loss, metrics = policy_loss(micro, scores["logprobs"], old_bt, advantage_bt, weight_bt)
            error_bt = value_loss(scores["value"].to(dtype), target_bt, value_bt, self.config.clip)
            loss = loss + self.config.weight * (weight_bt * error_bt).sum()
            if entropy_weight:
                loss = loss - entropy_weight * (weight_bt * scores["entropy"]).sum()
            measured = self.scorer.metrics(micro, {n: s.detach() for n, s in scores.items()}) if has_acted else {}
            yield loss, metrics | measured | _value_metrics(micro, error_bt)


def critic_metrics(batch: Batch, opinions: Opinions) -> Metrics:
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
