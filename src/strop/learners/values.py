"""The learner of the off-policy value methods: networks, their target copies, and one loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, final

import torch
from torch import Tensor

from strop.functional.aggregation import largest_per_pick, scored_actions, token_mean
from strop.functional.bounds import check_positive_share, check_share
from strop.memory import Replay
from strop.optimizer import SGD, AdamW, trail
from strop.types import (
    AlgorithmConfig,
    Batch,
    Keep,
    Max,
    Mean,
    Metrics,
    Policy,
    State,
    Term,
    Update,
    check_fields,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueConfig(AlgorithmConfig):
    """Options of every off-policy value method.

    optimizer     AdamW or SGD, with the learning rate
    discount      discount factor per decision; 1 is undiscounted
    target_share  how far a target copy moves towards its network; 1 copies it
    """

    memory: ClassVar[type] = Replay.Config
    off_policy: ClassVar[bool] = True
    optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-4))
    discount: float = 0.99
    target_share: float = 0.01

    def __post_init__(self) -> None:
        check_fields(self)
        check_share("algorithm.discount", self.discount)
        check_positive_share("algorithm.target_share", self.target_share, hint="1 copies")


class ValueMethod(Protocol):
    """What a value method defines: its networks, its targets, and its loss."""

    @property
    def networks(self) -> tuple[Policy, ...]:
        """The networks that train, the policy first."""

    @property
    def copies(self) -> tuple[Policy, ...]:
        """The target copy of each network, which follows it slowly."""

    def opinions(self, batch: Batch) -> tuple[Tensor, ...]:
        """Tensors [B, T] of the whole batch that the loss needs, such as targets; without gradient."""

    @property
    def loss(self) -> Callable[..., tuple[Tensor, Tensor, Metrics]]:
        """(micro, *its opinions) -> (loss_bt, error_bt, metrics); the error is target minus prediction.

        Slots without an action are ignored.
        """


@final
class ValueBased:
    """One optimiser step per batch, on the mean over its actions; then the target copies move.

    `error` is the name of the method's errors, `keep` is what a micro-batch must not cut.
    """

    def __init__(
        self,
        config: ValueConfig,
        method: ValueMethod,
        micro_tokens: int,
        target_every: int = 1,
        keep: Keep = "row",
        error: str = "td_error",
    ) -> None:
        self.method, self.micro_tokens, self.keep, self.error = method, micro_tokens, keep, error
        self.target_share, self.target_every = config.target_share, target_every
        parameters = [p for network in method.networks for p in network.parameters()]
        self.optimizer = config.optimizer.build(parameters, method.networks[0].lock)

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        update = self.optimizer.step(batch, self._terms(batch, self.method.opinions(batch)))
        if self.optimizer.num_steps % self.target_every == 0:
            for copy, network in zip(self.method.copies, self.method.networks, strict=True):
                trail(copy, network, self.target_share)
        error_BT = update.per_token[self.error]
        return replace(update, priority_K=largest_per_pick(error_BT.abs(), batch))

    def _terms(self, batch: Batch, opinions: tuple[Tensor, ...]) -> Iterator[Term]:
        """The loss of each micro-batch, and the errors of its scored actions."""
        for micro, slots_bt, weight_bt, *parts in batch.split(
            self.micro_tokens, self.keep, token_mean(batch), *opinions
        ):
            loss_bt, error_bt, metrics = self.method.loss(micro, *parts)
            error_bt = torch.where(scored_actions(micro), error_bt.detach(), 0.0)
            yield Term((weight_bt * loss_bt).sum(), metrics, {self.error: error_bt}, slots_bt)

    def state_dict(self) -> State:
        """Moments, copies and further networks; the run saves the policy."""
        return {"optimizer": self.optimizer.state_dict()} | {n: p.state_dict() for n, p in self._kept().items()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        for name, network in self._kept().items():
            network.load_state_dict(state[name])

    def _kept(self) -> dict[str, Policy]:
        """The policies to save, by name."""
        further = {f"network_{i}": network for i, network in enumerate(self.method.networks) if i}
        return further | {f"copy_{i}": copy for i, copy in enumerate(self.method.copies)}


def error_metrics(error_bt: Tensor, q_bt: Tensor, micro: Batch) -> Metrics:
    """The sizes of the temporal-difference errors and of the values of the actions: values far beyond
    reward / (1 - discount) are overestimates."""
    mask_bt = scored_actions(micro)
    error_N, q_N = error_bt[mask_bt].abs(), q_bt[mask_bt].double()
    if not len(error_N):
        return {}
    return {
        "q/error_mean": Mean(error_N.sum().item(), len(error_N)),
        "q/error_max": Max(error_N.max().item()),
        "q/mean": Mean(q_N.sum().item(), len(q_N)),
        "q/largest": Max(q_N.abs().max().item()),
    }
