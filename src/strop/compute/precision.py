"""The types that a transformer computes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

HARDWARE = ("amx_bf16", "avx512_bf16")
"""Instructions that make bfloat16 several times as fast as float32. Without them it is slower: computed in float32 and
rounded."""


def has_bfloat16() -> bool:
    """Whether this processor has instructions that multiply bfloat16. A torch that cannot tell counts as no."""
    capabilities: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    found = capabilities()
    return any(found.get(name) for name in HARDWARE)


def autocast(dtype: torch.dtype, device_type: str) -> AbstractContextManager[Any]:
    """torch's autocast for bfloat16, nothing for float32."""
    return torch.autocast(device_type, dtype=dtype) if dtype is torch.bfloat16 else nullcontext()
