"""Whether this processor multiplies bfloat16 itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

HARDWARE = ("amx_bf16", "avx512_bf16")
"""What makes bfloat16 several times as fast as float32. Elsewhere it is computed in float32 and rounded: slower."""


def has_bfloat16() -> bool:
    """Whether there are instructions for products of bfloat16. A torch that cannot tell counts as no."""
    tell: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    found = tell()
    return any(found.get(name) for name in HARDWARE)
