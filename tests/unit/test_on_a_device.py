"""Algorithms and the optimiser on a pretended device: no tensor is made on the wrong one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from chunks import chunked, numbers
from exact.coin import identical
from exact.learners import ACTOR_CRITIC, CORE, GRADIENT, VALUE_BASED, learner, lesson
from strop.algorithms.distillation import Distillation
from strop.algorithms.dqn import DQN
from strop.algorithms.grpo import GRPO
from strop.functional.divergences import KL
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD, AdamW
from strop.runs.state import pack
from strop.runs.tree import unpack
from strop.types import ComputesOn, PolicyConfig, WeightsLock

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended

IN_REWARD, IN_LOSS = KL(weight=0.3), KL(weight=0.3, placement="loss", estimator="full")
CASES: list[tuple[Any, dict[str, Any]]] = [(kind, {}) for kind in GRADIENT]
CASES += [(GRPO, {"kl": IN_LOSS}), (DQN, {"dueling": True})]
CASES += [(kind, {"critic": Critic(separate=True)}) for kind in ACTOR_CRITIC]
CASES += [(kind, {"target_every": 1, "target_share": 0.3}) for kind in VALUE_BASED]
EVERY = [
    pytest.param(kind, fields, marks=[] if kind.__name__ in CORE and "critic" not in fields else pytest.mark.matrix)
    for kind, fields in CASES
]


def saved(state: Any) -> Any:
    """The state as a checkpoint gives it back."""
    tensors, tree = pack(state)
    return unpack(tree, tensors)


# ---------------------------------------------------------------- algorithms


@pytest.mark.matrix
@pytest.mark.parametrize(("kind", "fields"), EVERY)
def test_an_algorithm_learns_the_same_there_and_goes_on_elsewhere(kind: Any, fields: dict[str, Any]) -> None:
    """On a device without float64, so on one that has it as well: no algorithm asks which it is."""
    batch, given = lesson(kind), {"optimizer": SGD(lr=0.1, momentum=0.5), "kl": IN_REWARD, **fields}

    def made(device: Any) -> tuple[Any, Any]:
        policy = chunked(device)
        return policy, learner(kind, policy, 16, **given)

    policy, algorithm = made("cpu")
    expected = [algorithm.update(batch) for _ in range(2)]
    resumed, again = made("cpu")
    with pretended(has_float64=False):
        there, other = made(DEVICE)
        first = other.update(batch)
        states = saved(there.state_dict()), saved(other.state_dict())
        found = [first, other.update(batch)]
        assert all(parameter.device == DEVICE for parameter in there.parameters())
        assert identical(numbers(there), numbers(policy))
    assert [one.metrics for one in found] == [one.metrics for one in expected]
    for one in found:
        assert not any(
            tensor is not None and tensor.device == DEVICE for tensor in (*one.per_token.values(), one.priority_K)
        )
    resumed.load_state_dict(states[0])
    again.load_state_dict(states[1])
    assert again.update(batch).metrics == expected[1].metrics
    assert identical(numbers(resumed), numbers(policy))


@dataclass(frozen=True)
class Asked(PolicyConfig):
    """The Config of a teacher that notes where it is built."""

    which: ComputesOn
    devices: list[str] = field(default_factory=list)

    @property
    def computes_on(self) -> ComputesOn:
        return self.which

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Any, Any]:
        self.devices.append(device)
        return chunked(device), None


@pytest.mark.parametrize(
    ("computes_on", "device"), [("any", "pretend:0"), ("accelerator", "pretend:0"), ("cpu", "cpu")]
)
def test_a_teacher_stands_beside_its_student_if_it_can(computes_on: ComputesOn, device: str) -> None:
    teacher = Asked(computes_on)
    with pretended():
        learner(Distillation, chunked(DEVICE), teacher=teacher).update(lesson(Distillation))
    assert teacher.devices == [device]


# ---------------------------------------------------------------- the optimiser


@pytest.mark.parametrize("is_fused", [True, False])
def test_adamw_keeps_its_step_where_its_kernel_reads_it(is_fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strop.optimizer.FUSED_ON", ("cpu", *["pretend"] * is_fused))
    gradient = torch.tensor([0.5, -1.0])

    def stepped(optimizer: Any, times: int) -> None:
        (parameter,) = optimizer.parameters
        for _ in range(times):
            parameter.grad = gradient.to(parameter.device)
            optimizer.inner.step()
            optimizer.num_steps += 1

    def made(device: Any) -> Any:
        return AdamW(lr=0.1).build([Parameter(torch.tensor([1.0, 2.0]).to(device))], WeightsLock())

    here = made("cpu")
    stepped(here, 2)
    from_cpu = saved(here.state_dict())
    stepped(here, 1)
    with pretended():
        there = made(DEVICE)
        stepped(there, 2)
        (state,) = there.inner.state.values()
        assert (state["step"].device == DEVICE) == is_fused
        assert all(state[name].device == DEVICE for name in ("exp_avg", "exp_avg_sq"))
        from_there = saved(there.state_dict())
        loaded = made(DEVICE)
        loaded.parameters[0].data.copy_(there.parameters[0].data)
        loaded.load_state_dict(from_cpu)  # a run that was on the CPU until now
        stepped(loaded, 1)
        assert numbers_of(loaded) == pytest.approx(numbers_of(here), rel=1e-6)
    back = made("cpu")
    back.parameters[0].data.copy_(torch.tensor(numbers_of(there)))
    back.load_state_dict(from_there)  # and the other way
    stepped(back, 1)
    assert numbers_of(back) == pytest.approx(numbers_of(here), rel=1e-6)


def numbers_of(optimizer: Any) -> list[float]:
    """The one parameter."""
    return optimizer.parameters[0].detach().cpu().tolist()
