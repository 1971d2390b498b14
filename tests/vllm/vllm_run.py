"""A run whose rollouts come from vLLM, in a process of its own. Started again, it goes on.

vllm_run.py DIR URL      from the server there
vllm_run.py DIR COMMAND  from a server that a replica on Ray starts with that command
"""

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


def config(server: str, weights: Path) -> strop.TrainConfig:
    """Words are said again; twelve steps are enough to see that the policy gets better."""
    engine = (
        strop.scale.VLLM(url=server, weights=str(weights), attempts=2)
        if server.startswith("http")
        else strop.scale.Ray(vllm=server, vllm_flags="--enforce-eager", replicas=1, start_seconds=900.0)
    )
    return fleet.config(policy=POLICY, engine=engine, steps=STEPS, checkpoint_every=1, group_size=8)


if __name__ == "__main__":
    home, server = Path(sys.argv[1]), sys.argv[2]
    run = home / "run"
    strop.train(config(server, home / "weights"), run, resume=is_run(run), progress=False)
