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


COLLECT = """
import sys
import pytest
for words in sys.argv[1:]:
    code = pytest.main(["tests/gpu", "--collect-only", "-m", words])
    print("ended with", int(code))
"""


def collected(*selections: str, **environment: str) -> tuple[list[int], str]:
    """How pytest ends for each `-m` in turn, in one process, and all that it says."""
    done = called("-c", COLLECT, *selections, **environment)
    said = done.stdout + done.stderr
    return [int(line.split()[-1]) for line in said.splitlines() if line.startswith("ended with")], said


@pytest.mark.matrix
@pytest.mark.skipif(torch.backends.mps.is_available(), reason="torch sees an accelerator here")
def test_without_an_accelerator_the_tests_fail_in_words() -> None:
    ended, said = collected("gpu")
    assert ended == [1]
    assert "sees no accelerator here" in said
    assert f"{TRIED}=cpu-plain" in said
    ended, said = collected("gpu", **{TRIED: "gpu"})
    assert ended != [0]
    assert f"{TRIED}='gpu': it is one of cpu-plain, pretend" in said


@pytest.mark.matrix
def test_no_other_selection_runs_them() -> None:
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    fast = next(line.partition(":= ")[2] for line in make.splitlines() if line.startswith("FAST"))
    usual = "not gpu and not task and not browser and not scale and not vllm"
    assert f"-m '{usual}'" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ended, said = collected(usual, fast, "(crash or learning or matrix) and not slow and not model")
    assert ended == [pytest.ExitCode.NO_TESTS_COLLECTED] * 3, said


BENCHMARKS = """
import runpy
import sys
from pathlib import Path
for words in (["benchmarks/gpu.py"], ["benchmarks/grpo.py", "--device", "cuda:0"]):
    sys.argv, sys.path[0] = words, str(Path("benchmarks").resolve())
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        print(end.code)
"""


@pytest.mark.matrix
def test_without_a_card_the_benchmark_refuses_in_words() -> None:
    done = called("-c", BENCHMARKS)
    said = done.stdout.splitlines()
    assert len(said) == 2, done.stderr
    assert all(line.startswith("error: there is no card cuda:0: torch") for line in said)
