"""How the pretended device computes: the processor's kernels on the same memory, after CUDA's rules were checked.

`torch.Tensor`s change their device through DLPack, which hands over a pointer and says whose memory it is: torch reads
its type 12 as PrivateUse1, the device that is free for others. One fallback then serves every operator that torch does
not compose of others; only what moves between devices, or gives a tensor other memory, is written by hand.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch

from pretend_rules import NAME, Rules, is_pretended, record_copy

CPU = torch.device("cpu")
has_float64 = True
_DLPACK_CPU, _DLPACK_PRIVATE = 1, 12

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _relabelled(tensor: torch.Tensor, device_type: int) -> torch.Tensor:
    """The same memory as a tensor of another device: in DLPack, the int32 after the pointer to the data."""
    capsule = torch._C._to_dlpack(tensor)
    start = _capsule_pointer(capsule, b"dltensor")
    ctypes.c_int32.from_address(start + ctypes.sizeof(ctypes.c_void_p)).value = device_type
    return torch._C._from_dlpack(capsule)


def on_device(tensor: torch.Tensor) -> torch.Tensor:
    """Raises TypeError, as MPS does, for float64 where the device has none."""
    if tensor.dtype == torch.float64 and not has_float64:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")
    return _relabelled(tensor, _DLPACK_PRIVATE)


def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.shape == (0,):  # a result that the operator will resize, which borrowed memory cannot be
        return torch.empty(0, dtype=tensor.dtype, device=CPU)
    return _relabelled(tensor, _DLPACK_CPU)


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    return [mapped(function, each) for each in value] if isinstance(value, list | tuple) else function(value)


def run(op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Any operator that is given a tensor of the device, or asked to make one."""
    rules = _rules(op)
    rules.check(args, kwargs)
    rules.record(args)
    lent: list[tuple[torch.Tensor, torch.Tensor, object]] = []  # on the CPU, on the device, its layout

    def lend(value: Any) -> Any:
        if type(value) is torch.device:
            return CPU
        if not is_pretended(value):
            return value
        cpu = on_cpu(value)
        lent.append((cpu, value, _layout(cpu)))
        return cpu

    def give_back(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        own = [device for cpu, device, _ in lent if cpu is value]
        if own:
            return own[0]
        base = lent[0][1] if lent else None
        if base is not None and op.is_view:
            return as_strided(base, value.shape, value.stride(), base.storage_offset() + value.storage_offset())
        return on_device(value)

    args = rules.with_tensors(args)
    result = op(*mapped(lend, args), **{name: mapped(lend, value) for name, value in kwargs.items()})
    for cpu, device, layout in lent:
        if _layout(cpu) != layout:
            _move(device, cpu)
    return mapped(give_back, result)


_rules = cache(Rules)


def _layout(tensor: torch.Tensor) -> object:
    return tensor.shape, tensor.stride(), tensor.data_ptr()


def _move(tensor: torch.Tensor, memory: torch.Tensor) -> None:
    """Let a tensor of the device have the memory of one of the CPU."""
    with torch.inference_mode(tensor.is_inference()):
        tensor.data = on_device(memory)


def copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """`copy_` and `to`, in each direction and on the device."""
    record_copy(source, target)
    lowered = [_relabelled(each, _DLPACK_CPU) if is_pretended(each) else each for each in (source, target)]
    lowered[1].copy_(lowered[0])
    return target


def as_strided(
    tensor: torch.Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> torch.Tensor:
    """A view, which shares the tensor's storage as torch's own views do."""
    offset = tensor.storage_offset() if storage_offset is None else storage_offset
    return torch.ops.aten.alias(tensor).as_strided_(size, stride, offset)


def set_storage(
    tensor: torch.Tensor,
    source: torch.UntypedStorage,
    offset: int = 0,
    size: list[int] | None = None,
    stride: Sequence[int] = (),
) -> torch.Tensor:
    """`set_` to the whole of a storage or to a part, by which torch copies storages."""
    flat = torch.empty(0, dtype=tensor.dtype, device=CPU)
    if source.nbytes():
        memory = (ctypes.c_uint8 * source.nbytes()).from_address(source.data_ptr())
        memory.owner = source  # type: ignore[attr-defined]  # keeps the memory
        flat = torch.frombuffer(memory, dtype=tensor.dtype)
    _move(tensor, flat if size is None else flat.as_strided(size, stride, offset))
    return tensor


BY_HAND = {
    "_copy_from": copy_from,
    "as_strided": as_strided,
    "set_.source_Storage": set_storage,
    "set_.source_Storage_storage_offset": set_storage,
}

# ---------------------------------------------------------------- autocast

# Of CUDA's lists (ATen/autocast_mode.h), what language models use.
IN_LOWER = {"matmul", "linear", "mm", "bmm", "addmm", "baddbmm", "scaled_dot_product_attention"}
IN_FLOAT32 = {"exp", "log", "pow", "rsqrt", "softmax", "log_softmax", "logsumexp", "layer_norm", "softplus", "nll_loss"}
IN_FLOAT32 |= {"sum", "cumsum", "prod", "norm"}


def autocast_kernels() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The operators that autocast computes in another type than they are given, by name."""
    for name in torch._C._dispatch_get_all_op_names():
        base, _, overload = name.removeprefix("aten::").partition(".")
        if base not in IN_LOWER | IN_FLOAT32 or not torch._C._dispatch_has_kernel_for_dispatch_key(
            name, "AutocastCUDA"
        ):
            continue
        op = getattr(getattr(torch.ops.aten, base), overload or "default")
        yield name.removeprefix("aten::"), _cast(op, is_lower=base in IN_LOWER)


def _cast(op: torch._ops.OpOverload, is_lower: bool) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        dtype = torch.get_autocast_dtype(NAME) if is_lower else torch.float32

        def cast(value: Any) -> Any:
            is_cast = is_pretended(value) and value.is_floating_point() and value.dtype != torch.float64
            return value.to(dtype) if is_cast else value

        with torch.autocast(NAME, enabled=False):
            return op(*mapped(cast, args), **{name: mapped(cast, value) for name, value in kwargs.items()})

    return run
