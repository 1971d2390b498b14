"""A run of two stages that is killed, in the first, in the second or between them, ends with the same bits."""

import subprocess
import sys
from pathlib import Path

import pytest

from faults.test_kill import assert_same_run

SCRIPT = str(Path(__file__).with_name("die_in_stages.py"))
pytestmark = pytest.mark.crash


def die(*words) -> list[tuple[int, str]]:
    """How many children died, and the stages that had begun when each did."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(" ") for line in done.stdout.splitlines()]
    return [(int(died), stages) for died, stages in lines]


def assert_same(one: Path, other: Path) -> None:
    assert sorted(entry.name for entry in one.iterdir() if not entry.name.startswith(".")) == [
        "1-sft",
        "2-rl",
        "stages.json",
    ]
    for stage in ("1-sft", "2-rl"):
        assert_same_run(one / stage, other / stage)


def test_kill_at_random_moments(tmp_path):
    ((died, _),) = die(tmp_path / "run", "kill", 0)
    assert died > 3, "the children were too fast to be killed: the test tests nothing"
    assert_same(tmp_path / "run", tmp_path / "run-whole")


@pytest.mark.parametrize("stride", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_die_before_and_after_a_rename_or_fsync(tmp_path, stride):
    # A run makes its folder, then that of a stage and its checkpoints, twice: some 140 calls.
    calls = range(1, 162, stride)
    died = die(tmp_path / "run", calls.start, calls.stop, calls.step)
    places = {place for _, stages in died for place in stages.split(",")}
    assert places >= {"0", "1", "12"}, "they died before, in and between the stages"
    assert died[-1][0] == 0, "the last call of a run lies beyond the range: widen it"
    for call in calls:
        assert_same(tmp_path / f"run-{call}", tmp_path / "run-whole")
