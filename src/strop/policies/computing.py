"""The parts of `compute/` that other packages need; all else of it is used by policies only."""

from __future__ import annotations

from strop.compute.allocator import kept_memory
from strop.compute.precision import HARDWARE, has_bfloat16
from strop.compute.row_order import compact_order

__all__ = ["HARDWARE", "compact_order", "has_bfloat16", "kept_memory"]
