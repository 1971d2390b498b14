"""A tiny transformer learns a task whose optimum is known, on a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gpu.accelerator import Accelerator
from gpu.families import train
from strop.recipes import copy_word


def test_it_learns_to_copy_words(accelerator: Accelerator, tmp_path: Path) -> None:
    """The best reward is 1; an untrained policy over eight words gets an eighth of it."""
    with accelerator.computing():
        run = train(replace(copy_word.recipe(), device=accelerator.name, threads=1), tmp_path / "run")
    judged = [one["held_out/reward"] for one in run.metrics() if "held_out/reward" in one]
    assert judged[0] <= 0.5
    assert judged[-1] >= 0.99
