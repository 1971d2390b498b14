"""Algorithms and the optimiser on a device that is pretended: no tensor is made on the wrong one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from exact.coin import identical
from exact.learners import ACTOR_CRITIC, CORE, GRADIENT, VALUE_BASED, as_baseline, learner, suited
from pretended import Elsewhere, chunked, numbers, pretended
from strop.algorithms.distillation import Distillation
from strop.algorithms.dqn import DQN
from strop.algorithms.grpo import GRPO
from strop.batch import collate
from strop.functional.divergences import KL
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD, AdamW
from strop.runs.state import pack
from strop.runs.tree import unpack
from strop.types import Batch, ComputesOn, PolicyConfig
from strop.verify.awkward import picks

IN_REWARD, IN_LOSS = KL(weight=0.3), KL(weight=0.3, placement="loss", estimator="full")
CASES: list[tuple[Any, dict[str, Any]]] = [(kind, {}) for kind in GRADIENT]
CASES += [(GRPO, {"kl": IN_LOSS}), (DQN, {"dueling": True})]
CASES += [(kind, {"critic": Critic(separate=True)}) for kind in ACTOR_CRITIC]
CASES += [(kind, {"target_every": 1, "target_share": 0.3}) for kind in VALUE_BASED]
FAST = [(kind, fields) for kind, fields in CASES if kind.__name__ in CORE and "critic" not in fields]
ON_DEVICES = [
    pytest.param(*case, device, marks=[] if case in FAST and (device == "cuda:0" or case[0] is GRPO) else slow)
    for slow in [pytest.mark.matrix]
    for case in CASES
    for device in ("cuda:0", "mps")
]


def lesson(kind: Any) -> Batch:
    """Edge-case episodes of two groups, with a greedy one in each."""
    some = [replace(one, episode=as_baseline(one.episode)) if i in (0, 7) else one for i, one in enumerate(picks()[:9])]
    return suited(kind, collate(tuple(some), "joined"))


def saved(state: Any) -> Any:
    """The state as a checkpoint gives it back."""
    tensors, tree = pack(state)
    return unpack(tree, tensors)


# ---------------------------------------------------------------- what the pretence sees


def test_the_pretence_refuses_what_torch_refuses_and_nothing_else() -> None:
    here = torch.randn(3)
    with pretended("cuda:0") as now:
        there = here.to("cuda:0")
        assert there.device == torch.device("cuda:0") != here.device
        for mistake in (lambda: there + here, lambda: there.masked_fill(here > 0, 0.0), lambda: here[there.long()]):
            with pytest.raises(RuntimeError, match="same device"):
                mistake()
        right = [there + 1.0, there * torch.tensor(2.0), there[torch.tensor([0, 1])], there.new_zeros(3) + there]
        assert all(isinstance(one, Elsewhere) for one in right)
        assert now.waits == 0
        assert there.tolist() == here.tolist()
        assert there.sum().item() == here.sum().item()
        assert now.waits == 2
    with pretended("mps"), pytest.raises(TypeError, match="float64"):
        here.to("mps").double()


def test_the_pretence_sees_the_backward_pass() -> None:
    weight = torch.ones(2, requires_grad=True)
    with pretended("cuda:0"):
        loss = (weight.to("cuda:0") * 3.0).cpu().sum()
        loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3.0, 3.0]


# ---------------------------------------------------------------- algorithms


@pytest.mark.parametrize(("kind", "fields", "device"), ON_DEVICES)
def test_an_algorithm_learns_the_same_there_and_goes_on_elsewhere(
    kind: Any, fields: dict[str, Any], device: str
) -> None:
    batch, given = lesson(kind), {"optimizer": SGD(lr=0.1, momentum=0.5), "kl": IN_REWARD, **fields}

    def made(device: str) -> tuple[Any, Any]:
        policy = chunked(device)
        return policy, learner(kind, policy, 16, **given)

    policy, algorithm = made("cpu")
    expected = [algorithm.update(batch) for _ in range(2)]
    resumed, again = made("cpu")
    with pretended(device):
        there, other = made(device)
        first = other.update(batch)
        states = saved(there.state_dict()), saved(other.state_dict())
        found = [first, other.update(batch)]
        assert all(isinstance(parameter, Elsewhere) for parameter in there.parameters())
        assert identical(numbers(there), numbers(policy))
    assert [one.metrics for one in found] == [one.metrics for one in expected]
    for one in found:
        assert not any(isinstance(tensor, Elsewhere) for tensor in (*one.per_token.values(), one.priority_K))
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


@pytest.mark.parametrize(("computes_on", "device"), [("any", "cuda:0"), ("accelerator", "cuda:0"), ("cpu", "cpu")])
def test_a_teacher_stands_beside_its_student_if_it_can(computes_on: ComputesOn, device: str) -> None:
    teacher = Asked(computes_on)
    with pretended("cuda:0"):
        learner(Distillation, chunked("cuda:0"), teacher=teacher).update(lesson(Distillation))
    assert teacher.devices == [device]


# ---------------------------------------------------------------- the optimiser


@pytest.mark.parametrize(("device", "is_fused"), [("cuda:0", True), ("mps", False)])
def test_adamw_keeps_its_step_where_its_kernel_reads_it(device: str, is_fused: bool) -> None:
    gradient = torch.tensor([0.5, -1.0])

    def stepped(optimizer: Any, times: int) -> None:
        (parameter,) = optimizer.parameters
        for _ in range(times):
            parameter.grad = gradient.to(parameter.device)
            optimizer.inner.step()
            optimizer.num_steps += 1

    def made(device: str) -> Any:
        return AdamW(lr=0.1).build([Parameter(torch.tensor([1.0, 2.0]).to(device))])

    here = made("cpu")
    stepped(here, 2)
    from_cpu = saved(here.state_dict())
    stepped(here, 1)
    with pretended(device):
        there = made(device)
        stepped(there, 2)
        (state,) = there.inner.state.values()
        assert isinstance(state["step"], Elsewhere) == is_fused
        assert all(isinstance(state[name], Elsewhere) for name in ("exp_avg", "exp_avg_sq"))
        from_there = saved(there.state_dict())
        loaded = made(device)
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
