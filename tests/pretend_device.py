"""A pretended accelerator with real numbers: the device `pretend:0`, on which a forgotten `device=` fails as on CUDA.

    with pretended() as device:
        policy, codec = config.build(0, "float32", str(device))
        with transfers() as seen:
            sampler.sample(...)
    assert len(seen.to_host) == tokens, seen.to_host  # one transfer a token for all rows, and which lines they are

Its tensors are ordinary torch tensors of a device type of their own, so that dispatch, autograd, autocast, `Module.to`,
optimisers and transformers treat them as they treat CUDA's. An operator runs the processor's kernel on the same memory,
after CUDA's rules were checked; with `pretended(has_float64=False)` it refuses float64 too, as MPS does.

What it sees:
- an operator that is given tensors of the device and of the CPU, but for CUDA's exceptions: a CPU tensor of no
  dimensions in a pointwise operator, CPU indices into a tensor of the device, `copy_` and `to`;
- a CPU generator where the device draws; `numpy()` of a tensor of the device;
- fused AdamW whose `step` is on the CPU; a gradient on another device than its parameter;
- whatever makes the host wait for the device, what is sent to it, and what draws on it, with the lines (`transfers`);
- state that belongs to one thread: backward runs in the device's own thread, as on CUDA.

What it cannot see:
- how a device's kernels round (sums in another order, TF32, fused attention: here attention is computed in steps) and
  what only they refuse: dtypes of masks, strides, head sizes; an index out of range is an IndexError here;
- what MPS lacks beside float64; CPU indices count as on CUDA there;
- asynchrony: streams, events, pinned memory; how much memory there is and how much is taken;
- the device's own random numbers: it draws from the CPU's default generator, and has no `torch.Generator`;
- autocast's cache of cast weights, and its types for operators that language models do not use; a second device;
- what depends on the name of the type, "cuda" or "mps"; extensions that take a tensor's address.

Import it before the process's first backward, so at the top of a test module: torch starts its devices' threads with
the first backward, and never again. Outside `pretended()` the device exists, but no code is told of it. It needs a
torch that takes a device from Python, as 2.13 does and 2.6 does not; `pytest.importorskip` skips its tests there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

import pretend_kernels
from pretend_rules import NAME, Transfers, transfers

__all__ = ["DEVICE", "Transfers", "pretended", "transfers"]


@contextmanager
def pretended(has_float64: bool = True) -> Iterator[torch.device]:
    """The device, which `torch.accelerator` reports as available until the end of the `with`."""
    with (
        mock.patch.object(_module, "available", True),
        mock.patch.object(pretend_kernels, "has_float64", has_float64),
        mock.patch.object(torch.nn.Module, "_apply", _apply_in_place),
    ):
        yield DEVICE


class _Module:
    """What `torch.pretend` is: the functions that torch asks of every accelerator's module."""

    available = False

    def is_available(self) -> bool:
        return self.available

    def device_count(self) -> int:
        return int(self.available)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def get_rng_state(self, device: object = None) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: object = None) -> None:
        torch.set_rng_state(state)

    def manual_seed_all(self, seed: int) -> None:
        """`torch.manual_seed` has seeded the CPU's generator, which is this device's too."""

    def _is_in_bad_fork(self) -> bool:
        return False


_apply = torch.nn.Module._apply


def _apply_in_place(module: torch.nn.Module, function: Any, recurse: bool = True) -> torch.nn.Module:
    """`Module.to` keeps the Parameter objects, and so ties and optimisers, on CUDA; elsewhere torch has to be told."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return _apply(module, function, recurse)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)


def _new_storage(cls: type, *args: Any, device: torch.device | str | None = None, **kwargs: Any) -> Any:
    """A bare storage, as torch makes to copy tensors deeply: of a tensor, as the device has no allocator."""
    if device is not None and torch.device(device).type == NAME:
        return torch.empty(*args, dtype=torch.uint8, device=device).untyped_storage()
    return torch._C.StorageBase.__new__(cls, *args, device=device, **kwargs)


def _register() -> tuple[torch.library.Library, ...]:
    """Once a process; what it registers lasts as long as the libraries that it returns."""
    _setup_privateuseone_for_python_backend(NAME, _module)
    torch.UntypedStorage.__new__ = _new_storage
    every, by_hand = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    every.fallback(pretend_kernels.run, "PrivateUse1")
    every.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    for name, kernel in pretend_kernels.BY_HAND.items():
        by_hand.impl(name, kernel, "PrivateUse1")
    for name, kernel in pretend_kernels.autocast_kernels():
        by_hand.impl(name, kernel, "AutocastPrivateUse1")
    return every, by_hand


def _check_backward() -> None:
    try:
        torch.ones(1, device=DEVICE, requires_grad=True).sum().backward()
    except RuntimeError as error:
        message = "backward has run in this process before the device was made: import pretend_device at the top"
        raise RuntimeError(message) from error


_module = _Module()
_libraries = _register()
DEVICE = torch.device(NAME, 0)
_check_backward()
