"""How many steps fit into so many seconds of one process, whatever else the machine does meanwhile."""

from __future__ import annotations

import statistics
import time
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
