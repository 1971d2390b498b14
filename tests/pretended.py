"""A device that is not here, pretended on the CPU: within `pretended("cuda:0")` tensors are made there and moved there.

Each operation is computed on the CPU, and refused where torch would refuse it: tensors of two devices in one operation,
or float64 on MPS. `waits` counts what crosses to the CPU, where the program would wait for a real device, and `sends`
what is sent there, indices included.

It sees every operation that goes through torch's dispatcher, backward passes included. It does not see what a kernel of
that device rounds, orders or lacks, nor code that asks for a tensor's memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from strop.verify.chunked import START, Chunked

aten = torch.ops.aten
INSIDE = torch.device("meta")
"""What torch's C++ takes for the pretended device: it needs no driver, and its backward passes run on the CPU."""
CROSSES = {aten._to_copy.default, aten.copy_.default}
READS = {aten._local_scalar_dense.default, aten.nonzero.default}
"""Operations that wait for the device, as they give a number or a shape that depends on numbers."""
INDEXES = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
"""Operations whose second argument may stand on the CPU."""
WHOLLY_THERE = {aten._fused_adamw_.default, aten._fused_adamw_.tensor_lr}
"""Operations that read even tensors without dimensions on the device: all others take those from the CPU."""


@dataclass
class Pretence:
    """What is pretended, how often something was read from there, and how often something was sent there."""

    device: torch.device
    waits: int = 0
    sends: int = 0


class Elsewhere(Tensor):
    """A tensor that says that it is on the pretended device; `numbers` holds them on the CPU."""

    now = Pretence(torch.device("cpu"))
    is_meta = False

    @staticmethod
    def __new__(cls, numbers: Tensor, requires_grad: bool = False) -> "Elsewhere":
        numbers = _numbers(numbers).detach()
        if Elsewhere.now.device.type == "mps" and numbers.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
            )
        shape, strides = numbers.shape, numbers.stride()
        with torch.inference_mode(False):  # a view that is made in that mode could not be wrapped
            made = Tensor._make_wrapper_subclass(
                cls, shape, strides=strides, dtype=numbers.dtype, device=INSIDE, requires_grad=requires_grad
            )
        made.numbers = numbers
        return made

    @property
    def device(self) -> torch.device:
        """The pretended one."""
        return Elsewhere.now.device

    def tolist(self) -> list:
        """In one transfer."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _compute(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents=None) -> str:
        return f"Elsewhere({self.numbers!r})"


def _compute(func, args, kwargs):
    """The operation on the CPU; its results stand where torch would put them."""
    tensors = [one for one in _flat((args, kwargs)) if isinstance(one, Tensor)]
    _refuse_mixed(func, args, tensors)
    is_away = any(isinstance(one, Elsewhere) for one in tensors)
    if func is aten.copy_.default:
        goes_away = isinstance(args[0], Elsewhere)
    else:
        goes_away = is_away if kwargs.get("device") is None else kwargs["device"] == INSIDE
    is_here = any(not isinstance(one, Elsewhere) and one.dim() for one in tensors)
    Elsewhere.now.sends += goes_away and is_here
    Elsewhere.now.waits += is_away and (func in READS or not goes_away)
    if "device" in kwargs:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    made = func(*_each(_numbers, args), **_each(_numbers, kwargs))
    if func._schema.is_mutable and isinstance(made, Tensor):
        return args[0]
    return _each(lambda one: Elsewhere(one) if goes_away and isinstance(one, Tensor) else one, made)


def _refuse_mixed(func, args, tensors) -> None:
    here = [one for one in tensors if not isinstance(one, Elsewhere)]
    if func in CROSSES or len(here) in (0, len(tensors)):
        return
    if func in INDEXES and isinstance(args[0], Elsewhere):
        here = [one for one in args[2:] if isinstance(one, Tensor) and not isinstance(one, Elsewhere)]
    if wrong := [tuple(one.shape) for one in here if one.dim() or func in WHOLLY_THERE]:
        device = Elsewhere.now.device
        raise RuntimeError(f"Expected all tensors to be on the same device, but found {device} and cpu {wrong}: {func}")


def _each(function, value):
    """The function of every leaf of nested lists, tuples and dicts."""
    if isinstance(value, list | tuple):
        return type(value)(_each(function, one) for one in value)
    if isinstance(value, dict):
        return {key: _each(function, one) for key, one in value.items()}
    return function(value)


def _flat(value):
    """The leaves."""
    found = []
    _each(found.append, value)
    return found


def _numbers(value):
    return value.numbers if isinstance(value, Elsewhere) else value


class _Makes(TorchDispatchMode):
    """Tensors that are made on the device, or moved there."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled, and keeping torch's compiler out of it would load it: seconds

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _compute(func, args, kwargs or {})


class _Renames(TorchFunctionMode):
    """The device's name never reaches C++, which would start its driver."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.device:
            return func(*args, **(kwargs or {}))
        args, kwargs = _each(_renamed, args), _each(_renamed, kwargs or {})
        if func is torch.tensor:  # C++ makes no numbers for its own device
            return func(*args, **{**kwargs, "device": "cpu"}).to(kwargs.get("device"))
        if func is Tensor.__getitem__ and isinstance(args[0], Elsewhere) and isinstance(args[1], list):
            args = (args[0], torch.tensor(args[1], dtype=torch.long))
        return func(*args, **kwargs)


def _renamed(value):
    is_device = isinstance(value, torch.device | str) and str(value) == str(Elsewhere.now.device)
    return INSIDE if is_device else value


def report(
    patch: pytest.MonkeyPatch, num_cuda: int = 0, mps: bool = False, bfloat16: bool = True, built: bool = True
) -> None:
    """Let torch report so many GPUs, or MPS; `built` says whether it has CUDA at all."""
    card = SimpleNamespace(name="NVIDIA H200", total_memory=139 * 2**30)
    patch.setattr("torch.cuda.is_available", lambda: num_cuda > 0)
    patch.setattr("torch.cuda.device_count", lambda: num_cuda)
    patch.setattr("torch.cuda.get_device_properties", lambda device: card)
    patch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: bfloat16)
    patch.setattr("torch.backends.cuda.is_built", lambda: built)
    patch.setattr("torch.backends.mps.is_available", lambda: mps)
    patch.setattr("torch.backends.mps.is_built", lambda: mps)


@contextmanager
def pretended(name: str) -> Iterator[Pretence]:
    """Pretend that torch has this device."""
    Elsewhere.now = Pretence(torch.device(name))
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)  # a moved parameter stays tied to its other names
    try:
        with _Renames(), _Makes():
            yield Elsewhere.now
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swaps)


def chunked(device: str) -> Chunked:
    """A policy of several chunks, in float32 on this device."""
    policy = START.policy(has_values=True)
    policy.weight, policy.value = (torch.nn.Parameter(one.detach().float().to(device)) for one in policy.parameters())
    return policy


def numbers(policy) -> list[Tensor]:
    """Its parameters on the CPU."""
    return [parameter.detach().cpu() for parameter in policy.parameters()]
