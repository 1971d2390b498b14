"""The contract of a policy-gradient algorithm: checks of what its functions return, with errors that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from strop.functional.aggregation import scored_actions
from strop.types import Batch, Last, Max, Mean, Metrics, State

KEEPS = ("row", "episode", "group")


@runtime_checkable
class Stateful(Protocol):
    """What an algorithm remembers from batch to batch, such as a running baseline."""

    def advance(self) -> None:
        """Move on to the next batch: the steps of this one are done. Until then `state_dict` gives what was before."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


def check_options(name: str, keep: object, state: object) -> None:
    """Refuse a word that `keep` does not know, and a state that cannot be kept."""
    if keep not in KEEPS:
        raise ValueError(f"{name}: keep={keep!r}; allowed are {', '.join(KEEPS)}.")
    if state is not None and not isinstance(state, Stateful):
        raise ValueError(f"{name}: state={state!r} needs the methods advance, state_dict and load_state_dict.")


def checked_slots(name: str, what: str, function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The function; raises ValueError where it does not give one number for each slot of the batch."""

    def checked(batch: Batch, *more: Tensor) -> Tensor:
        made = function(batch, *more)
        if not isinstance(made, Tensor) or made.shape != batch.tokens_BT.shape:
            found = f"shape {list(made.shape)}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
            raise ValueError(
                f"{name}: {what} gave {found}; it gives one number for each slot [B, T], here "
                f"{list(batch.tokens_BT.shape)}. spread(number_E, batch) puts one of each episode on its actions."
            )
        return made

    return checked


def checked_loss(name: str, function: Callable[..., Any]) -> Callable[..., tuple[Tensor, Metrics]]:
    """The loss; raises ValueError where it does not give a scalar that can be learned from, and metrics."""

    def checked(micro: Batch, logprobs_BT: Tensor, *more: Tensor) -> tuple[Tensor, Metrics]:
        made = function(micro, logprobs_BT, *more)
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], Tensor) and made[0].dim() == 0):
            raise ValueError(
                f"{name}: the loss gives (a tensor without dimensions, a dict of metrics), such as x.sum(), {{}}."
            )
        loss, metrics = made
        wrong = [key for key, value in metrics.items() if not isinstance(value, Mean | Max | Last)]
        if wrong:
            raise ValueError(
                f"{name}: the metric {wrong[0]!r} is a {type(metrics[wrong[0]]).__name__}; it is a "
                "strop.types.Mean(total, count), Max(value) or Last(value), so that micro-batches can be merged."
            )
        learns = torch.is_grad_enabled() and logprobs_BT.requires_grad and bool(scored_actions(micro).any())
        if learns and not loss.requires_grad:
            raise ValueError(
                f"{name}: the loss has no gradient; it is made of logprobs_BT, without detach() or item()."
            )
        return loss, metrics

    return checked
