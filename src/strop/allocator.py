"""Freed memory stays in the process while a run lasts.

A training step makes and frees gigabytes of tensors. glibc hands each large one back to the kernel at once, and the
next one comes as fresh pages that are zeroed one fault at a time, which is slow on virtual machines: a tenth of a step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h: free bytes at the top of the heap before they are given back, and the number of blocks that may
come straight from the kernel."""
DEFAULTS = {M_TRIM_THRESHOLD: 128 * 1024, M_MMAP_MAX: 65536}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Large blocks come from the heap, which never shrinks in the block; after it, what is free is given back.

    Nothing is changed where the C library is not glibc.
    """
    libc: Any = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        for parameter, value in DEFAULTS.items():
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)
