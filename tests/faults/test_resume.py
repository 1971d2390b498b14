"""N steps equal k steps, a kill -9 and N - k more, bit for bit: for every algorithm, on table, transformer and LoRA.

Compared are all parameters, optimiser moments, memories and random states of every checkpoint, all metrics but time
and memory, all episodes with their log-probs, and all opinions per token.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from faults.test_kill import assert_same_run

KINDS = Path(__file__).with_name("kinds.py")
FAST = ("table/curriculum", "lora/rloo", "transformer/dqn")
"""One for each thing that a state is made of: the place in a source of tasks; a frozen base, adapters and the reference
of a KL; a memory, a target network and a schedule. `make test-slow` runs the rest. Without a kill the state of each
algorithm goes on in unit/test_algorithm_states.py, and that of whole runs in contracts/test_policies_learn.py."""
REST = (
    "table/q_learning",
    "transformer/grpo",
    "table/reinforce",
    "table/learnable",
    "table/replay",
    "table/double_q",
    "table/expected_sarsa",
    "table/ilql",
    "transformer/path_consistency",
    "transformer/dr_grpo",
    "transformer/sft",
    "lora/grpo",
    "lora/sft",
    "table/ppo",
    "transformer/ppo",
    "lora/ppo",
    "table/a2c",
    "lora/a2c",
    "table/vtrace",
    "lora/vtrace",
)


def killed(kind: str, folder: Path, kills: int) -> int:
    """Train in folder/whole, and in folder/killed so that it dies now and then; how often it did."""
    done = subprocess.run(
        [sys.executable, str(KINDS), kind, str(folder), str(kills), "0"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.crash
@pytest.mark.parametrize("kind", [*FAST, *(pytest.param(kind, marks=pytest.mark.slow) for kind in REST)])
def test_killed_run_ends_with_the_same_bits(kind, tmp_path):
    died = killed(kind, tmp_path, kills=3)  # each after a checkpoint, so each leaves a state to go on from
    assert died >= 1, "no child was killed: the test tests nothing"
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
