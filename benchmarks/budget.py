"""Cells of a table that each have so many seconds of one process, whatever else the machine does meanwhile."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import strop


def trained(config: Any, folder: Path) -> tuple[Any, float]:
    """A run, and which share of its time this process computed: on a busy machine it waits for the rest."""
    started, computed = time.perf_counter(), time.process_time()
    run = strop.train(config, folder, progress=False)
    return run, (time.process_time() - computed) / (time.perf_counter() - started)


def steps_within(seconds: float, config: Any, folder: Path, least: int) -> int:
    """As many steps as so many seconds of computing hold, by the median of a short run's steps but the first."""
    run, share = trained(config, folder)
    each = [row["time/step_seconds"] for row in run.metrics() if "time/step_seconds" in row][1:]
    return max(least, int(seconds / (statistics.median(each) * share)))


def in_a_process(file: str, told: Sequence[object], name: str, seconds: float) -> dict[str, Any]:
    """What a benchmark that is told to measure one cell prints last, as JSON; in one thread.

    Raises SystemExit with what it said if it fails.
    """
    done = subprocess.run(
        [sys.executable, file, *map(str, told)], capture_output=True, text=True, timeout=seconds,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"error: {name}:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return found
