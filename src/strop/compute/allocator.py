"""Keep freed memory in the process during a run, in huge pages.

A training step allocates and frees gigabytes of tensors. glibc returns each large block to the kernel at once, and the
next one needs new pages that are zeroed one page fault at a time, which on virtual machines takes a tenth of a step.
Decoding reads all weights for every token: with pages of 4 KB the address lookups are slow there as well.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from strop.process import ALONE

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""From glibc's malloc.h: how many bytes may be free at the top of the heap before they are given back, and how many
blocks may come straight from the kernel."""
DEFAULTS = {M_TRIM_THRESHOLD: 128 * 1024, M_MMAP_MAX: 65536}
MADV_HUGEPAGE = 14
HUGE_PAGE = 2**21
"""Bytes."""


_inside: list[threading.Thread] = []
"""The threads that are within `kept_memory`."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Within this context the heap serves large blocks too and never shrinks; at its end, free memory is given back.
    The heap is the process's: of several threads that are inside, the last to leave gives it back.

    Nothing is changed where the C library is not glibc.
    """
    libc: Any = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    with ALONE:
        _inside.append(threading.current_thread())
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
        _ask_for_huge_pages(libc)
    try:
        yield
    finally:
        with ALONE:
            _inside.remove(threading.current_thread())
            if not _inside:
                for parameter, value in DEFAULTS.items():
                    libc.mallopt(parameter, value)
                libc.malloc_trim(0)


def _ask_for_huge_pages(libc: Any) -> None:
    """Grow the heap by half of the machine's memory, untouched, and ask for huge pages in it.

    It is only advice: a kernel without huge pages, or one that refuses so much memory, leaves the heap as it is.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    begin = libc.malloc(size)
    if begin is not None:
        first = -(-begin // HUGE_PAGE) * HUGE_PAGE
        libc.madvise(first, (begin + size - first) // HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE)
        libc.free(begin)
