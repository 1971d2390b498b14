"""A benchmark beside a peer: each side in a process of its own, in turns, and everything written down."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SCRIPT = """
import argparse, sys
from pathlib import Path
sys.path.insert(0, {benchmarks!r})
import side_by_side
side_by_side.RESULTS = Path("results")
from side_by_side import Measured

def broken(args):
    raise OSError("no such engine")

sides = {{"ours": lambda args: Measured([0.5, 0.25, 0.5], 10.0), "peer": lambda args: Measured([1.0], 10.0)}}
sides |= {{"broken": broken}} if "broken" in sys.argv else {{}}
side_by_side.compare("toy", "A toy", sides, "tokens", argparse.ArgumentParser())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(SCRIPT.format(benchmarks=str(BENCHMARKS)))
    return tmp_path


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "toy.py", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.matrix
def test_ratios_are_taken_of_medians_repeat_by_repeat_and_kept(folder: Path) -> None:
    done = call(folder, "--repeats", "2", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "2.00" in done.stdout
    kept = json.loads((folder / "results" / "toy.json").read_text())
    assert kept["ratios"] == {"ours": [2.0, 2.0]}  # 10 tokens in .5 s against 10 in 1 s
    assert kept["command"] == "python benchmarks/toy.py --repeats 2 --threads 1"
    assert len(kept["sides"]["peer"]) == 2


@pytest.mark.matrix
def test_a_side_that_fails_is_named_with_what_it_said(folder: Path) -> None:
    done = call(folder, "--only", "broken", "peer", "--repeats", "1")
    assert done.returncode == 1
    assert "broken failed" in done.stderr
    assert "no such engine" in done.stderr
