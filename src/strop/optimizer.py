"""Where parameters change: accumulate micro-batches, check, clip, step; and copies that trail behind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.nn import Parameter

from strop.functional.bounds import check_at_least, check_below, check_not_negative, check_positive
from strop.types import (
    Batch,
    Last,
    Metrics,
    NonFinite,
    Policy,
    Schedule,
    State,
    Term,
    Update,
    WeightsLock,
    check_fields,
    merge_metrics,
)

CALMER = (
    "Before it goes on, change what let it grow: a smaller algorithm.optimizer.lr, "
    "a smaller algorithm.optimizer.max_grad_norm, dtype=float32, or rewards of smaller size."
)
"""What to do about a loss or a gradient that is not finite."""
FUSED_ON = ("cpu", "cuda")
"""The kinds of devices on which AdamW takes torch's fused kernel."""

__all__ = ["SGD", "AdamW"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """AdamW (1711.05101).

    lr             the rate: a number, or a schedule such as `Linear(start=1e-3, end=0.0, steps=500)`, which counts the
                   steps of the optimiser (epochs and mini-batches make several of one step of the loop)
    betas          decay of the mean of the gradient and of its square
    eps            added to the root of the mean square
    weight_decay   share of a weight that goes at every step, times the rate
    max_grad_norm  longer gradients are cut to it; none cuts none
    warmup_steps   the steps over which a factor rises linearly from 0 to 1, on top of `lr`
    """

    lr: float | Schedule = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self.lr, self.max_grad_norm)
        for beta in self.betas:
            check_below("optimizer.betas", beta, 1.0)
        check_positive("optimizer.eps", self.eps)
        check_not_negative("optimizer.weight_decay", self.weight_decay)
        check_at_least("optimizer.warmup_steps", self.warmup_steps, 0)

    def build(self, parameters: Sequence[Parameter], lock: WeightsLock) -> Optimizer:
        """The optimiser of these parameters; `lock` is that of the policy that acts."""
        # fused: one pass over the numbers instead of a dozen, and no temporary tensors
        is_fused = all(parameter.device.type in FUSED_ON for parameter in parameters)
        inner = torch.optim.AdamW(
            parameters, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=is_fused
        )
        for parameter in parameters:
            # torch makes them in the first step, between what that frees: the free memory would stay in pieces
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            # a fused step reads its number on the device, any other on the CPU
            count = torch.zeros((), device=parameter.device if is_fused else "cpu")
            inner.state[parameter] = {"step": count, **moments}
        return Optimizer(inner, lock, self.lr, self.max_grad_norm, self.warmup_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class SGD:
    """Plain gradient descent on the loss: what the textbook writes, and what tables need.

    lr             the rate: a number, or a schedule, as in AdamW
    momentum       share of the last step that goes on
    max_grad_norm  longer gradients are cut to it; none cuts none
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.0
    max_grad_norm: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self.lr, self.max_grad_norm)
        check_below("optimizer.momentum", self.momentum, 1.0)

    def build(self, parameters: Sequence[Parameter], lock: WeightsLock) -> Optimizer:
        """The optimiser of these parameters; `lock` is that of the policy that acts."""
        return Optimizer(torch.optim.SGD(parameters, momentum=self.momentum), lock, self.lr, self.max_grad_norm)


class Optimizer:
    """Steps once for all micro-batches of an update. Nothing moves if the loss or the gradient is not finite.

    The parameters move within `lock.changing()`: another thread that samples from the policy reads those before the
    step or those after it.
    """

    def __init__(
        self,
        inner: torch.optim.Optimizer,
        lock: WeightsLock,
        lr: float | Schedule,
        max_grad_norm: float | None,
        warmup_steps: int = 0,
    ) -> None:
        self.inner, self.lock = inner, lock
        self.lr, self.max_grad_norm, self.warmup_steps = lr, max_grad_norm, warmup_steps
        self.parameters: list[Tensor] = [p for group in inner.param_groups for p in group["params"]]
        self.num_steps = 0

    def step(self, batch: Batch, terms: Iterable[Term]) -> Update:
        """Sum the gradients of the terms, then step; raises NonFinite with the batch before it moves.

        Their metrics are merged, and their notes put together [B, T], in float64 and 0 where no term says anything.
        """
        rate = self._rate()
        self.inner.zero_grad(set_to_none=True)
        collected, total = list[Metrics](), 0.0
        notes_BT: dict[str, Tensor] = {}
        for term in terms:
            if not math.isfinite(term.loss.item()):
                raise NonFinite(f"the loss ({term.loss.item()})", batch, CALMER)
            if term.loss.requires_grad:
                term.loss.backward()  # type: ignore[no-untyped-call]
            collected.append(term.metrics)
            _put(term, notes_BT, batch)
            total += term.loss.item()
        norm = self._gradient_norm(batch)
        for group in self.inner.param_groups:
            group["lr"] = rate
        with self.lock.changing():
            self.inner.step()
            for parameter in self.parameters:
                increment_version(parameter)  # a fused step changes numbers without saying so to those who watch
        self.inner.zero_grad(set_to_none=True)
        self.num_steps += 1
        own = {"loss": total, "gradient_norm": norm, "learning_rate": rate}
        return Update(merge_metrics(collected) | {f"optimizer/{n}": Last(x) for n, x in own.items()}, notes_BT)

    def _gradient_norm(self, batch: Batch) -> float:
        """The norm before clipping; clips in place."""
        limit = math.inf if self.max_grad_norm is None else self.max_grad_norm
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit).item()
        if not math.isfinite(norm):
            self.inner.zero_grad(set_to_none=True)
            raise NonFinite(f"the gradient (norm {norm})", batch, CALMER)
        return norm

    def _rate(self) -> float:
        """The learning rate of the coming step."""
        rate = self.lr(self.num_steps) if callable(self.lr) else self.lr
        if not 0.0 <= rate < math.inf:
            raise ValueError(f"optimizer.lr={self.lr} gives {rate} at step {self.num_steps}: it is 0 or above.")
        return rate * min((self.num_steps + 1) / self.warmup_steps, 1.0) if self.warmup_steps else rate

    def state_dict(self) -> State:
        """Moments and counters, with string keys; of parameters that never moved none, since all of them are 0."""
        moments = self.inner.state_dict()["state"]
        return {
            "num_steps": self.num_steps,
            "state": {str(i): dict(s) for i, s in moments.items() if s.get("step") != 0},
        }

    def load_state_dict(self, state: State) -> None:
        """Restore moments; the rates stay those of the config, so that a fork can change them."""
        self.num_steps = state["num_steps"]
        inner = self.inner.state_dict()
        self.inner.load_state_dict({**inner, "state": {int(i): dict(s) for i, s in state["state"].items()}})


def _put(term: Term, notes_BT: dict[str, Tensor], batch: Batch) -> None:
    """Write a term's notes to their places in the whole batch."""
    for name, note_bt in term.notes.items():
        assert term.slots_bt is not None
        whole_BT = notes_BT.setdefault(name, torch.zeros(batch.tokens_BT.shape, dtype=torch.float64))
        whole_BT.view(-1)[term.slots_bt.flatten()] = note_bt.flatten().to(whole_BT.dtype)


@torch.no_grad()
def trail(target: Policy, policy: Policy, share: float = 1.0) -> None:
    """target <- (1 - share) * target + share * policy, for a twin of the policy (Polyak averaging); 1 copies."""
    for slow, fast in zip(target.parameters(), policy.parameters(), strict=True):
        slow.lerp_(fast, share)


def _check(lr: float | Schedule, max_grad_norm: float | None) -> None:
    check_positive("optimizer.lr", lr(0) if callable(lr) else lr)
    check_positive("optimizer.max_grad_norm", max_grad_norm, none="turns clipping off")
