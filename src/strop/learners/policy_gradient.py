"""The learner of the policy-gradient algorithms: advantages of the whole batch, then steps on its micro-batches.

An algorithm passes its own functions to `PolicyGradient`: the advantage, the weight of each token, and the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, final

import torch
from torch import Tensor

from strop.functional.bounds import check_at_least, check_not_negative
from strop.functional.corrections import (
    Correction,
    correct,
    correction_metrics,
    correction_weight,
    off_policy_log_ratio,
)
from strop.functional.distributions import require_full_support
from strop.functional.divergences import KL
from strop.learners.contract import Stateful, check_options, checked_loss, checked_slots
from strop.learners.logprobs import Read, logprobs_of_batch, read_actions, require_on_policy, sampler_metrics
from strop.learners.reference import Reference
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import (
    Algorithm,
    AlgorithmConfig,
    Batch,
    Keep,
    Metrics,
    Policy,
    Sampling,
    State,
    Term,
    Update,
    check_fields,
    merge_metrics,
)

Prepare = Callable[[Batch], tuple[Batch, Metrics]]
"""batch -> the batch as it is learned from (picks that teach nothing get weight 0), and what is worth logging of it."""
Advantage = Callable[[Batch, Tensor], Tensor]
"""(batch, penalty_BT) -> advantage_BT: `penalty_BT` is the KL to be taken off the reward of each action."""
Weight = Callable[[Batch], Tensor]
"""batch -> weight_BT of each action's loss: which mean it is (`functional.aggregation`)."""
Loss = Callable[[Batch, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Metrics]]
"""(micro, logprobs_BT, old_BT, advantage_BT, weight_BT) -> loss and metrics; only logprobs_BT has a gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGradientConfig(AlgorithmConfig):
    """The options of every policy gradient.

    optimizer   AdamW or SGD, with the learning rate
    kl          KL penalty to the policy at the start: weight, placement and estimator
    entropy     weight of the entropy bonus
    correction  importance weights for samples of another policy; none is off
    """

    memory: ClassVar[type] = Fresh.Config
    optimizer: AdamW | SGD = field(default_factory=AdamW)
    kl: KL = field(default_factory=KL)
    entropy: float = 0.0
    correction: Correction | None = None

    @property
    def epochs(self) -> int:
        """Optimiser steps on the same batch."""
        return 1

    def __post_init__(self) -> None:
        check_fields(self)
        check_not_negative("algorithm.entropy", self.entropy)

    def corrected(self) -> Self:
        """The config for samples of another engine: unless a correction is set, their tokens are truncated."""
        return self if self.correction is not None else replace(self, correction=Correction())

    def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Algorithm:
        """The learner with the algorithm's own functions; every algorithm overrides it."""
        raise NotImplementedError(f"{type(self).__qualname__} has no build: it returns PolicyGradient(...).")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioConfig(PolicyGradientConfig):
    """The options of those that use the ratio pi / pi_old, and so may step several times on one batch.

    epochs  optimiser steps on the same batch
    """

    optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
    epochs: int = 1

    def __post_init__(self) -> None:
        PolicyGradientConfig.__post_init__(self)
        check_at_least("algorithm.epochs", self.epochs, 1)


@dataclass(frozen=True, slots=True)
class _Opinions:
    """What the loss reads at each slot [B, T], without gradient.

    `old_BT` are the log-probs that ratios are taken to; None takes the learner's own as it reads them.
    """

    advantage_BT: Tensor
    weight_BT: Tensor
    reference_BT: Tensor
    old_BT: Tensor | None = None


def learn_from_all(batch: Batch) -> tuple[Batch, Metrics]:
    """The whole batch, with nothing to log."""
    return batch, {}


@final
class PolicyGradient:
    """Takes `config.epochs` optimiser steps on a batch: sum of weight * (loss of the advantage + KL - entropy).

    name       the algorithm's name in messages
    keep       what a micro-batch must not cut: a row, or the episode that a ratio of whole sequences needs
    prepare    sets the weight of picks to 0 that are not learned from, and logs
    state      what the algorithm remembers from batch to batch; it is saved in checkpoints
    reference  what KL is measured to; none takes the policy at the start
    """

    def __init__(
        self,
        name: str,
        config: PolicyGradientConfig,
        policy: Policy,
        sampling: Sampling,
        micro_tokens: int,
        *,
        advantage: Advantage,
        weight: Weight,
        loss: Loss,
        keep: Keep = "row",
        prepare: Prepare = learn_from_all,
        state: Stateful | None = None,
        reference: Policy | None = None,
    ) -> None:
        require_full_support(sampling, name)
        check_options(name, keep, state)
        self.config, self.policy, self.sampling, self.micro_tokens = config, policy, sampling, micro_tokens
        self.advantage = checked_slots(name, "advantage", advantage)
        self.weight = checked_slots(name, "weight", weight)
        self.loss, self.keep, self.prepare = checked_loss(name, loss), keep, prepare
        self.name, self.state = name, state
        self.reference = Reference(config.kl, policy, sampling, micro_tokens, reference)
        self.optimizer = config.optimizer.build(policy.parameters(), policy.lock)

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        require_on_policy(batch, self.name)
        batch, found = self.prepare(batch)
        reference_BT = self.reference.logprobs(batch)
        advantage_BT = self.advantage(batch, self.reference.penalty(batch, reference_BT))
        opinions = _Opinions(advantage_BT, self.weight(batch), reference_BT)
        metrics = [self.reference.metrics(batch, reference_BT), *self._steps(batch, opinions), found]
        if self.state is not None:
            self.state.advance()
        return Update(merge_metrics(metrics), per_token={"advantage": advantage_BT})

    def _steps(self, batch: Batch, opinions: _Opinions) -> Iterator[Metrics]:
        """Step, and yield the metrics. With one epoch the old log-probs are the new ones without gradient, so every
        ratio is exactly 1; with more they are the learner's own, read once before anything moves.

        A correction needs these too: one that weighs each token by itself finds them on the way.
        """
        correction, epochs = self.config.correction, self.config.epochs
        if epochs > 1 or (correction is not None and not correction.is_local):
            old_BT = logprobs_of_batch(self.policy, batch, self.sampling, self.micro_tokens)
            factor_BT, metrics = correct(correction, batch, old_BT, opinions.advantage_BT)
            opinions = replace(opinions, weight_BT=opinions.weight_BT * factor_BT, old_BT=old_BT)
            yield metrics
        for epoch in range(epochs):
            update = self.optimizer.step(batch, self._terms(batch, opinions, is_first=epoch == 0))
            yield update.metrics
        if correction is not None and opinions.old_BT is None:
            off_BT = update.per_token["off_policy"]
            factor_BT = correction_weight(correction, off_BT, opinions.advantage_BT, batch)
            yield correction_metrics(correction, off_BT, factor_BT, batch)

    def _terms(self, batch: Batch, opinions: _Opinions, is_first: bool) -> Iterator[Term]:
        """The loss of every micro-batch. The loss vanishes with the advantage and with the weight: picks where all of
        them are 0 (a group of equal rewards) are read for the metrics, and not back-propagated."""
        old = [] if opinions.old_BT is None else [opinions.old_BT]
        tensors = (opinions.advantage_BT, opinions.weight_BT, opinions.reference_BT, *old)
        for part, teaches, rows in self._by_signal(batch, opinions.advantage_BT * opinions.weight_BT):
            chosen = [tensor_BT[rows] for tensor_BT in (batch.slots_BT, *tensors)]
            for micro, _, slots_bt, *own in part.split(self.micro_tokens, self.keep, *chosen):
                with torch.set_grad_enabled(teaches):
                    term = self._term(micro, _Opinions(*own), slots_bt, is_first)
                yield term

    def _term(self, micro: Batch, opinions: _Opinions, slots_bt: Tensor, is_first: bool) -> Term:
        read = self._read(micro)
        logprobs_bt, dtype = read["logprobs"], read["logprobs"].dtype
        old_bt = logprobs_bt.detach() if opinions.old_BT is None else opinions.old_BT.to(dtype)
        weight_bt, notes, correction = opinions.weight_BT.to(dtype), {}, self.config.correction
        if correction is not None and opinions.old_BT is None:
            notes = {"off_policy": off_policy_log_ratio(micro, old_bt)}
            factor_bt = correction_weight(correction, notes["off_policy"], opinions.advantage_BT, micro)
            weight_bt = weight_bt * factor_bt.to(dtype)
        loss, metrics = self.loss(micro, logprobs_bt, old_bt, opinions.advantage_BT.to(dtype), weight_bt)
        loss = loss + (weight_bt * self.reference.loss(micro, read, old_bt, opinions.reference_BT)).sum()
        if self.config.entropy:
            loss = loss - self.config.entropy * (weight_bt * read["entropy"]).sum()
        return Term(loss, metrics | (sampler_metrics(micro, read) if is_first else {}), notes, slots_bt)

    def _read(self, micro: Batch) -> Read:
        reference_NV = self.reference.full_logprobs(micro)
        return read_actions(self.policy, micro, self.sampling, reference_NV, self.config.entropy != 0.0)

    def _by_signal(self, batch: Batch, signal_BT: Tensor) -> Iterator[tuple[Batch, bool, list[int]]]:
        """(part, whether it teaches, its rows): the rows of picks with a signal, and the others.

        With an entropy bonus or a KL in the loss every row teaches. Where none has a signal all of them do, so that the
        optimiser sees gradients of 0 and its momentum goes on as it would.
        """
        signal_E = signal_BT.new_zeros(len(batch.group_E)).index_add(0, batch.episode_B, signal_BT.abs().sum(dim=1))
        teaches_B = (signal_E > 0)[batch.episode_B]
        all_teach = self.config.entropy or self.reference.is_in_loss
        if all_teach or not bool(teaches_B.any()) or bool(teaches_B.all()):
            yield batch, True, list(range(len(teaches_B)))
            return
        for teaches in (True, False):
            rows = (teaches_B == teaches).nonzero().flatten().tolist()
            yield batch.rows(rows), teaches, rows

    def state_dict(self) -> State:
        own = {} if self.state is None else {"state": self.state.state_dict()}
        return {"optimizer": self.optimizer.state_dict(), **own}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        if self.state is not None:
            self.state.load_state_dict(state["state"])
