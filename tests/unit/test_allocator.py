"""Freed memory stays in the process inside the block, and goes back after it."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from strop import allocator
from strop.allocator import kept_memory

PAGES = """
import resource
import torch
from strop.allocator import kept_memory

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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
@pytest.mark.matrix  # it waits for processes of its own
def test_large_blocks_are_used_again_and_given_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True)
    outside, inside, freed = map(float, done.stdout.split())
    assert inside < outside / 2
    assert freed > 100


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    with kept_memory():
        pass
