"""What is made from weights is made once for every change of them, and stays with whoever holds it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, turn
from strop.compute.kept import Kept
from strop.optimizer import SGD, AdamW
from strop.types import Term, WeightsLock


class Copies:
    """Keeps copies of its sources, and remembers each that it made."""

    def __init__(self, *sources: Tensor) -> None:
        self.sources, self.made = sources, list[weakref.ref[Any]]()
        self.kept = Kept(sources, self._copy)

    def _copy(self) -> list[Tensor]:
        copies = [source.clone() for source in self.sources]
        self.made.append(weakref.ref(copies[0]))
        return copies

    def alive(self) -> list[bool]:
        """Whether each copy is still in memory."""
        return [one() is not None for one in self.made]


def stepped(optimizer: Any) -> Callable[[Tensor], None]:
    """A change by one step of an optimiser."""

    def step(weight: Tensor) -> None:
        with torch.enable_grad():
            term = Term(weight.sum(), {})
        optimizer.build([weight], WeightsLock()).step(batch_of(episode(turn((1,), (2,)))), [term])

    return step


def loaded(weight: Tensor) -> None:
    """A change as `load_state_dict` makes it."""
    weight.copy_(torch.zeros(weight.shape))


CHANGES = {
    "adamw": stepped(AdamW(lr=0.1)),
    "sgd": stepped(SGD(lr=0.1)),
    "loaded": loaded,
    "a part of it": lambda weight: weight[0].mul_(2),
    "its data": lambda weight: weight.detach().add_(1),
}


def test_it_is_made_when_it_is_first_asked_for_and_then_kept() -> None:
    copies = Copies(torch.ones(2))
    assert copies.made == []
    first = copies.kept.get()
    assert all(copies.kept.get() is first for _ in range(3))
    assert len(copies.made) == 1


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("which", [0, 1])
def test_it_is_made_anew_after_a_change_of_any_source(which: int, change: Callable[[Tensor], None]) -> None:
    copies = Copies(*(torch.nn.Parameter(torch.ones(2)) for _ in range(2)))
    copies.kept.get()
    with torch.no_grad():
        change(copies.sources[which])
    for _ in range(2):
        assert torch.equal(copies.kept.get()[which], copies.sources[which])
    assert not torch.equal(copies.sources[which], torch.ones(2))
    assert len(copies.made) == 2


def test_a_change_of_something_else_makes_nothing_anew() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    copies = Copies(weight)
    first = copies.kept.get()
    weight.grad = torch.ones(2)
    (weight * 2).sum().backward()
    weight.requires_grad_(False)
    assert copies.kept.get() is first


def test_whoever_holds_a_result_goes_on_with_it_unchanged() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    copies = Copies(weight)
    held = [copies.kept.get()]
    with torch.no_grad():
        weight.add_(1)
    held.append(copies.kept.get())
    copies.kept.drop_if_trainable()
    held.append(copies.kept.get())
    with torch.no_grad():
        weight.add_(1)
    assert [one[0].tolist() for one in held] == [[1, 1], [2, 2], [2, 2]]


def test_only_what_a_trainable_tensor_is_in_is_dropped() -> None:
    frozen, trained = torch.ones(2), torch.nn.Parameter(torch.ones(2))
    for sources, survives in [((frozen,), True), ((trained,), False), ((frozen, trained), False)]:
        copies = Copies(*sources)
        copies.kept.get()
        copies.kept.drop_if_trainable()
        assert copies.alive() == [survives]
        copies.kept.get()
        assert len(copies.made) == 2 - survives


def test_the_old_result_is_gone_before_the_new_one_is_made() -> None:
    weight = torch.ones(2)
    seen: list[list[bool]] = []
    copies = Copies(weight)
    kept = Kept([weight], lambda: seen.append(copies.alive()) or copies._copy())
    kept.get()
    weight.add_(1)
    kept.get()
    assert seen == [[], [False]]


def test_what_is_made_while_sampling_can_be_learned_through_later() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    with torch.inference_mode():
        (copy,) = Copies(weight).kept.get()
    assert not copy.is_inference()
    assert not copy.requires_grad
    given = torch.ones(2, requires_grad=True)
    (given * copy).sum().backward()
    assert torch.equal(given.grad, torch.ones(2))
