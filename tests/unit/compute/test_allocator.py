"""Freed memory stays in the process inside the block, and goes back after it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from strop.compute import allocator
from strop.compute.allocator import kept_memory

PAGES = """
import resource
import torch
from strop.compute.allocator import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MiB: made, and freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

torch.set_num_threads(1)
faults()
outside = faults()
with kept_memory():
    faults()
    faults()
    inside = faults()
    many = [torch.ones(2**24) for _ in range(4)]
    many.clear()
    full = resident()
print(outside, inside, full - resident())
"""


HUGE = """
import torch
from strop.compute.allocator import kept_memory

def flags(address):
    inside = False
    for line in open("/proc/self/smaps"):
        first = line.split()[0]
        if "-" in first:
            begin, end = (int(part, 16) for part in first.split("-"))
            inside = begin <= address < end
        elif inside and first == "VmFlags:":
            return line.split()

with kept_memory():
    print("hg" in flags(torch.ones(2**24).data_ptr() + 2**25))
"""
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
@pytest.mark.skipif(
    not HUGE_PAGES.exists() or "[never]" in HUGE_PAGES.read_text(encoding="utf-8"), reason="no huge pages here"
)
@pytest.mark.matrix
def test_large_blocks_are_to_lie_in_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


class Libc:
    """A C library that promises no memory, or that counts what it is asked for."""

    def __init__(self, begin: int | None) -> None:
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        for name in ("mallopt", "malloc_trim", "malloc", "free", "madvise"):
            setattr(self, name, self.function(name, begin if name == "malloc" else None))

    def function(self, name: str, result: int | None) -> Callable[..., int | None]:
        def call(*given: int) -> int | None:
            self.calls.append((name, given))
            return result

        return call

    def named(self, name: str) -> list[tuple[int, ...]]:
        return [given for what, given in self.calls if what == name]


def test_a_kernel_that_promises_no_memory_leaves_the_heap_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Libc(begin=None)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: libc)
    with kept_memory():
        assert len(libc.named("malloc")) == 1
    assert libc.named("madvise") == libc.named("free") == []


def test_advice_is_for_whole_huge_pages_inside_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Libc(begin=3 * allocator.HUGE_PAGE + 16)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr(allocator.os, "sysconf", {"SC_PHYS_PAGES": 2**11, "SC_PAGE_SIZE": 2**12}.__getitem__)
    with kept_memory():
        pass
    assert libc.named("malloc") == [(2 * allocator.HUGE_PAGE,)]  # half of 8 MB
    assert libc.named("madvise") == [(4 * allocator.HUGE_PAGE, allocator.HUGE_PAGE, allocator.MADV_HUGEPAGE)]
    assert libc.named("free") == [(3 * allocator.HUGE_PAGE + 16,)]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
@pytest.mark.matrix  # it waits for processes of its own
def test_large_blocks_are_used_again_and_given_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True)
    outside, inside, freed = map(float, done.stdout.split())
    assert inside < outside / 2
    assert freed > 100


@pytest.mark.parametrize("absent", [["mallopt"], ["malloc_trim"], ["mallopt", "malloc_trim"]], ids=str)
def test_another_c_library_is_left_alone(absent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Libc(begin=0)
    for name in absent:
        delattr(libc, name)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: libc)
    with kept_memory():
        pass
    assert libc.calls == []
