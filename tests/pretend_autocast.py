"""Autocast on the pretended device: the operators and types of CUDA's, without its cache of cast weights."""

from collections.abc import Callable
from typing import Any

import torch

from pretend_kernels import mapped
from pretend_rules import NAME

_KEY = "AutocastPrivateUse1"

# torch's own lists (ATen/autocast_mode.h); what else CUDA casts is computed in float32.
_IN_LOWER = {"matmul", "linear", "mm", "bmm", "mv", "addmm", "addmv", "addr", "addbmm", "baddbmm", "einsum", "prelu"}
_IN_LOWER |= {"linalg_vecdot", "linalg_multi_dot", "chain_matmul", "scaled_dot_product_attention", "_convolution"}
_IN_LOWER |= {"convolution", "conv1d", "conv2d", "conv3d", "conv_tbc", "lstm_cell", "gru_cell", "_thnn_fused_lstm_cell"}
_IN_LOWER |= {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "rnn_tanh_cell", "rnn_relu_cell"}
_IN_LOWER |= {"_thnn_fused_gru_cell", "_scaled_dot_product_flash_attention"}
_IN_WIDEST = {"addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "vdot", "grid_sampler", "index_put"}
_IN_WIDEST |= {"tensordot", "scatter_add"}


def register() -> torch.library.Library:
    """The device's autocast; it lasts as long as the returned library."""
    library = torch.library.Library("aten", "IMPL")
    for name in torch._C._dispatch_get_all_op_names():
        if not torch._C._dispatch_has_kernel_for_dispatch_key(name, "AutocastCUDA") or "cudnn" in name:
            continue
        base, _, overload = name.removeprefix("aten::").partition(".")
        op = getattr(getattr(torch.ops.aten, base), overload or "default")
        library.impl(name.removeprefix("aten::"), _cast(op, base), _KEY)
    return library


def _cast(op: torch._ops.OpOverload, base: str) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        found: list[torch.Tensor] = []
        mapped(lambda value: found.append(value) if _is_cast(value) else None, [*args, *kwargs.values()])
        dtype = torch.get_autocast_dtype(NAME) if base in _IN_LOWER else torch.float32
        if base in _IN_WIDEST and all(each.dtype == found[0].dtype for each in found):
            dtype = found[0].dtype
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, _KEY))):
            cast = {name: mapped(lambda value: _to(value, dtype), value) for name, value in kwargs.items()}
            return op(*mapped(lambda value: _to(value, dtype), args), **cast)

    return run


def _is_cast(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or value.device.type != NAME:
        return False
    return value.is_floating_point() and value.dtype != torch.float64


def _to(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if _is_cast(value) else value
