"""Device mistakes that are planted in strop are noticed on the pretended device.

It computes with the CPU's kernels, so these tests and all others on it see tensors that stand on the wrong device and
needless transfers. They do not see how another device rounds, which kernels it lacks, or streams, speed and memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

import strop
from exact.learners import learner, lesson
from machine import take_pretended
from strop.algorithms import DQN, GRPO, ILQL
from strop.compute import output_head
from strop.compute.padded import PaddedState
from strop.compute.plain_runner import PlainRunner
from strop.learners.logprobs import full_logprobs, read_actions
from strop.optimizer import AdamW
from strop.samplers import local
from strop.types import Sampling

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, Transfers, pretended, transfers
from transformer_pairs import ADAPTER, pair, sampled

STROP = str(Path(strop.__file__).parent)


@pytest.fixture(autouse=True)
def _there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    take_pretended(monkeypatch)
    with pretended():
        yield


# ---------------------------------------------------------------- written in


def padded_with_zeros(rows_NH: Tensor, amounts: tuple[int, ...]) -> Tensor:
    return torch.cat([rows_NH, torch.zeros(amounts[-1], rows_NH.shape[1])])


def masked_from_zeros(state: PaddedState, width: int) -> Tensor:
    return torch.zeros(len(state.mask_BT), 1, width, state.mask_BT.shape[1], dtype=torch.bool)


def raised_by_zeros(runner: PlainRunner, *given: Tensor, hidden_at: Any = PlainRunner.hidden_at) -> Tensor:
    hidden_NH: Tensor = hidden_at(runner, *given)
    return hidden_NH + torch.zeros(len(hidden_NH), 1)


def read_row_by_row(tokens_B: Tensor, logprobs_B: Tensor) -> tuple[list[int], list[float]]:
    return [int(token.item()) for token in tokens_B], [logprob.item() for logprob in logprobs_B]


def looked_at(state: PaddedState, tokens_B: Tensor, step: Any = PaddedState.step) -> Tensor:
    assert bool((state.mask_BT >= 0).all())
    logits_BV: Tensor = step(state, tokens_B)
    return logits_BV


def play() -> int:
    """Sample six tokens for each of six padded prompts: how often the host waits."""
    there = pair("llama")[1]
    with transfers() as seen:
        sampled(there, stop=frozenset())
    return len(seen.to_host)


def learn() -> None:
    learner(GRPO, pair("llama")[1], 64).update(lesson(GRPO))


@pytest.mark.parametrize(
    ("owner", "name", "mistake", "act"),
    [
        (output_head, "pad", padded_with_zeros, learn),
        (PlainRunner, "hidden_at", raised_by_zeros, learn),
        (PaddedState, "_attention_mask", masked_from_zeros, play),
    ],
)
def test_zeros_without_a_device_fail(
    owner: Any, name: str, mistake: Any, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, mistake)
    with pytest.raises(RuntimeError, match="the same device"):
        act()


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("owner", "name", "mistake", "waits"),
    [(local, "fetched", read_row_by_row, 6 * 6 * 2), (PaddedState, "step", looked_at, 6 + 5)],
)
def test_needless_waits_are_counted(
    owner: Any, name: str, mistake: Any, waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play() == 6
    monkeypatch.setattr(owner, name, mistake)
    assert play() == waits


# ---------------------------------------------------------------- every device that strop names


def everything(patch: pytest.MonkeyPatch) -> Transfers:
    """Whatever strop does with a transformer on a device."""
    with transfers() as seen:
        sampled(pair("llama", ADAPTER, "bfloat16")[1], top_k=5)
        here, there = pair("llama")
        with patch.context() as elsewhere:
            elsewhere.setattr(local, "WITHOUT_FLOAT64", ("pretend",))
            sampled(there, max_tokens=2)
        read_actions(there, lesson(GRPO), Sampling(), full_logprobs(here, lesson(GRPO), Sampling()))
        for kind in (GRPO, DQN, ILQL):
            learner(kind, pair("llama")[1], 64, AdamW(lr=0.02, eps=1e-2)).update(lesson(kind))
    return seen


class Devices(TorchFunctionMode):
    """Notes each line of strop that sends a tensor to the device or makes one there. The line `forgotten` does not."""

    def __init__(self, forgotten: str | None = None) -> None:
        super().__init__()
        self.forgotten, self.lines = forgotten, set[str]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        caller = sys._getframe(1)
        file, given = caller.f_code.co_filename, kwargs or {}
        without = _without_device(func, args, given) if file.startswith(STROP) else None
        if without is None:
            return func(*args, **given)
        line = f"{file.removeprefix(STROP)}:{caller.f_lineno}"
        if line == self.forgotten:
            return without()
        found = func(*args, **given)
        if found.device == DEVICE:
            self.lines.add(line)
        return found


LIKE = {Tensor.new_ones, Tensor.new_zeros, Tensor.new_empty, torch.zeros_like, torch.empty_like}


def _without_device(func: Any, args: Any, given: dict[str, Any]) -> Callable[[], Tensor] | None:
    """What this call of torch is without the device that it names; None if it names none."""
    if func is Tensor.to:
        rest = [one for one in args[1:] if not isinstance(one, str | torch.device)]
        if len(rest) == len(args) - 1:
            return None
        return lambda: func(args[0], *rest) if rest else args[0]
    if func in LIKE or given.get("device") is not None:
        return lambda: func(*args, **given | {"device": "cpu"})
    return None


@pytest.mark.matrix
def test_every_forgotten_device_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an error, or, where torch would send indices itself, by their transfers."""
    everything(monkeypatch)
    with Devices() as noted:
        expected = everything(monkeypatch)
    assert len(noted.lines) > 15
    unnoticed = []
    for line in sorted(noted.lines):
        try:
            with Devices(forgotten=line):
                found = everything(monkeypatch)
        except RuntimeError as error:
            assert "same device" in str(error), line  # noqa: PT017
        else:
            if len(found.to_device) == len(expected.to_device):
                unnoticed.append(line)
    assert unnoticed == []
