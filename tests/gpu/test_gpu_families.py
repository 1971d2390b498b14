"""An algorithm of every family takes two steps on a device: it plays, sees and learns what it does on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from exact.build import flat
from gpu.accelerator import Accelerator
from gpu.families import FAMILIES, config, learnt, train, train_there, weights
from gpu.tolerances import LOGPROB, SHARE, apart
from strop.optimizer import AdamW
from strop.runs.state import pack
from strop.runs.tree import unpack
from strop.types import WeightsLock


@pytest.mark.parametrize("name", FAMILIES)
def test_two_steps_are_those_of_the_cpu(accelerator: Accelerator, name: str, tmp_path: Path) -> None:
    here, there = train(config(name), tmp_path / "here"), train_there(accelerator, name, tmp_path / "there")
    assert [one.text for one in there.episodes()] == [one.text for one in here.episodes()]
    assert learnt(there) == [pytest.approx(one, rel=SHARE, abs=LOGPROB) for one in learnt(here)]
    start = flat([one.detach().double() for one in config(name).resolve().build().policy.parameters()])
    assert apart(weights(there) - start, weights(here) - start) <= SHARE
    assert {str(one.device) for one in there.policy.parameters()} == {accelerator.name}


def test_adamw_counts_its_steps_on_the_device(accelerator: Accelerator) -> None:
    """The fused kernel reads `step` there; a state of the CPU's goes on there, and the other way."""
    gradient = torch.tensor([0.5, -1.0, 0.25])

    def made(device: str) -> Any:
        return AdamW(lr=0.1).build([Parameter(torch.tensor([1.0, 2.0, 3.0], device=device))], WeightsLock())

    def stepped(optimizer: Any, times: int) -> Any:
        (parameter,) = optimizer.parameters
        for _ in range(times):
            parameter.grad = gradient.to(parameter.device)
            optimizer.inner.step()
            optimizer.num_steps += 1
        return optimizer

    def moved(optimizer: Any, device: str) -> Any:
        other = made(device)
        other.parameters[0].data.copy_(optimizer.parameters[0].data)
        tensors, tree = pack(optimizer.state_dict())
        other.load_state_dict(unpack(tree, tensors))
        return other

    expected = stepped(made("cpu"), 3).parameters[0]
    there = stepped(made(accelerator.name), 2)
    (state,) = there.inner.state.values()
    assert {str(one.device) for one in state.values()} == {accelerator.name}
    for optimizer in (moved(stepped(made("cpu"), 2), accelerator.name), moved(there, "cpu"), there):
        found = stepped(optimizer, 1).parameters[0]
        torch.testing.assert_close(found.detach().cpu(), expected.detach(), rtol=1e-6, atol=0.0)
