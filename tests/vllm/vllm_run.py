"""A run whose rollouts come from vLLM, in a process of its own: vllm_run.py DIR URL. Started again, it goes on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this file runs as a script

import fleet
import strop
from strop.runs.directory import is_run

POLICY = strop.policies.Scratch(words=fleet.WORDS, num_layers=2, width=64, num_heads=2, context=256)
"""Its heads are 32 wide: vLLM's attention on a CPU knows no smaller ones."""
STEPS = 12


def config(url: str, weights: Path) -> strop.TrainConfig:
    """Words are said again; twelve steps are enough to see that the policy gets better."""
    engine = strop.scale.VLLM(url=url, weights=str(weights), attempts=2)
    return fleet.config(policy=POLICY, engine=engine, steps=STEPS, checkpoint_every=1, group_size=8)


if __name__ == "__main__":
    home, url = Path(sys.argv[1]), sys.argv[2]
    run = home / "run"
    strop.train(config(url, home / "weights"), run, resume=is_run(run), progress=False)
