"""What others ask of `compute/`, which policies alone use: the processor's types, its memory, and an order of rows."""

from __future__ import annotations

from strop.compute.allocator import kept_memory
from strop.compute.precision import HARDWARE, has_bfloat16
from strop.compute.row_order import compact_order

__all__ = ["HARDWARE", "compact_order", "has_bfloat16", "kept_memory"]
