"""What needs an accelerator ends in words without one, and nothing else runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
TRIED = "STROP_TEST_DEVICE"


def called(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """On a machine whose torch sees no CUDA device."""
    usual = {name: value for name, value in os.environ.items() if name != TRIED}
    usual |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, env=usual | environment, capture_output=True, text=True, timeout=300)


def collected(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return called("-m", "pytest", "tests/gpu", "--collect-only", *words, **environment)


@pytest.mark.matrix
@pytest.mark.skipif(torch.backends.mps.is_available(), reason="torch sees an accelerator here")
def test_without_an_accelerator_the_tests_fail_in_words() -> None:
    done = collected("-m", "gpu")
    assert done.returncode == 1
    assert "sees no accelerator here" in done.stdout
    assert f"{TRIED}=cpu-plain" in done.stdout
    unknown = collected("-m", "gpu", **{TRIED: "gpu"})
    assert unknown.returncode != 0
    assert f"{TRIED}='gpu': it is one of cpu-plain, pretend" in unknown.stdout + unknown.stderr


@pytest.mark.matrix
def test_no_other_selection_runs_them() -> None:
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    fast = next(line.partition(":= ")[2] for line in make.splitlines() if line.startswith("FAST"))
    for selection in ([], ["-m", fast], ["-m", "(crash or learning or matrix) and not slow and not model"]):
        done = collected(*selection)
        assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout


@pytest.mark.matrix
def test_without_a_card_the_benchmark_refuses_in_words() -> None:
    for words in (["benchmarks/gpu.py"], ["benchmarks/grpo.py", "--device", "cuda:0"]):
        done = called(*words)
        assert done.returncode == 1
        assert done.stderr.startswith("error: there is no card cuda:0: torch")
