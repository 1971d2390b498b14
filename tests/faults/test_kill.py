"""A run that is killed, wherever, goes on from its last whole checkpoint and ends with the same bits."""

import subprocess
import sys
from pathlib import Path

import pytest

from strop.runs.directory import RunDirectory
from strop.runs.state import same

DIE_OFTEN = str(Path(__file__).with_name("die_often.py"))
STEPS = 60
pytestmark = pytest.mark.crash


def die_often(*words) -> list[int]:
    done = subprocess.run(
        [sys.executable, DIE_OFTEN, *map(str, words)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def assert_same_run(one: Path, other: Path) -> None:
    """Equal checkpoints and equal rows, but for time and memory."""
    first, second = RunDirectory.open(one), RunDirectory.open(other)
    assert first.checkpoints.steps() == second.checkpoints.steps()
    for step in first.checkpoints.steps():
        assert same(first.checkpoints.load(step), second.checkpoints.load(step))
    with first.reader() as a, second.reader() as b:
        assert repeatable(a) == repeatable(b)
        for purpose in ("train", "evaluate"):
            assert a.episodes(purpose) == b.episodes(purpose)
            assert a.summaries(purpose) == b.summaries(purpose)
        for episode in a.episodes():
            assert repr(a.opinions(episode.id)) == repr(b.opinions(episode.id))


def repeatable(store) -> list[dict[str, float]]:
    return [
        {name: value for name, value in row.items() if not name.startswith(("time/", "memory/"))}
        for row in store.metrics()
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The run that nobody kills: its call number 10 ** 6 never comes."""
    path = tmp_path_factory.mktemp("whole") / "run"
    die_often(path, STEPS, "at", 10**6, 10**6 + 1, 1)
    return path.with_name(f"run-{10**6}")


def test_kill_at_random_moments(whole, tmp_path):
    (died,) = die_often(tmp_path / "run", STEPS, "kill", 0)
    assert died > 3, "the children were too fast to be killed: the test tests nothing"
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_die_before_and_after_a_rename_or_fsync(tmp_path, stride):
    # A run of 4 steps makes its folder, then saves checkpoints 0, 3 and 4: some 40 calls.
    calls = range(1, 51, stride)
    died = die_often(tmp_path / "run", 4, "at", calls.start, calls.stop, calls.step)
    assert died[0] == 2
    assert died[-1] == 0, "the last call of a run lies beyond the range: widen it"
    untouched = tmp_path / f"run-{calls[-1]}"
    for call in calls:
        assert_same_run(untouched, tmp_path / f"run-{call}")
