"""A disk that is full, or cannot be written: one clear line, and what was saved stays."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
import torch

from strop.runs.checkpoint import Checkpoints
from strop.runs.directory import RunDirectory
from strop.runs.files import WriteFailed

MEGABYTE = torch.ones(250_000)


def mount(target: Path, options: str) -> None:
    """Mount a small disk, or skip where that is not allowed."""
    target.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", target], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root")


@pytest.fixture
def disk(tmp_path):
    """A disk of 6 MB."""
    mount(tmp_path / "disk", "size=6m")
    yield tmp_path / "disk"
    subprocess.run(["umount", tmp_path / "disk"], check=True)


def fill(disk: Path) -> None:
    def write_for_ever(file):
        while True:
            file.write(b"x" * 4096)

    with (disk / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        write_for_ever(file)


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(disk):
    checkpoints = Checkpoints(disk / "run" / "checkpoints")
    checkpoints.save(1, {"weight": MEGABYTE})
    with pytest.raises(WriteFailed, match=r"checkpoint 000002 in .*No space left on device.*MB are free") as caught:
        checkpoints.save(2, {"weight": torch.ones(2_000_000)})
    assert "\n" not in str(caught.value)
    assert checkpoints.newest_first() == [1]
    assert torch.equal(checkpoints.load(1)["weight"], MEGABYTE)
    assert not list(checkpoints.path.glob(".*")), "the space of the failed save is given back"
    checkpoints.save(2, {"weight": MEGABYTE})


def test_a_step_that_does_not_fit_leaves_the_steps_before(disk):
    directory = RunDirectory.create(disk / "run", {}, {})
    with directory.writer() as store:
        store.write_step(0, [], {"reward/mean": 0.5}, {})
        fill(disk)
        with pytest.raises(WriteFailed, match=r"step 1 in .*full"):
            store.write_step(1, [], {f"big/{i}": 0.0 for i in range(200_000)}, {})
        (disk / "filler").unlink()
        assert store.series("reward/mean") == [(0, 0.5)]
        store.write_step(1, [], {"reward/mean": 0.75}, {})
    with directory.reader() as store:
        assert store.series("reward/mean") == [(0, 0.5), (1, 0.75)]


def test_a_run_that_does_not_fit_is_not_made(disk):
    fill(disk)
    with pytest.raises(WriteFailed, match=r"a new run in .*No space left"):
        RunDirectory.create(disk / "run", {"long": "x" * 100_000}, {})
    assert not (disk / "run").exists()
    (disk / "filler").unlink()
    RunDirectory.create(disk / "run", {}, {})


@pytest.mark.parametrize("killed", [False, True])
def test_a_disk_that_cannot_be_written_can_be_read(disk, killed):
    directory = RunDirectory.create(disk / "run", {}, {})
    store = directory.writer()
    store.write_step(0, [], {"reward/mean": 0.5}, {})
    # A killed writer leaves a WAL that nobody folded in.
    left = {file: file.read_bytes() for file in directory.path.glob("run.sqlite*")} if killed else {}
    store.close()
    for file, content in left.items():
        file.write_bytes(content)
    directory.checkpoints.save(1, {"x": 1})
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert directory.load() == (1, {"x": 1})
    with directory.reader() as reader:
        assert reader.series("reward/mean") == [(0, 0.5)]
    with pytest.raises(WriteFailed, match="Read-only file system"), directory.lock():
        pass
    with pytest.raises(WriteFailed, match="a new run in"):
        RunDirectory.create(disk / "other", {}, {})
    with pytest.raises(WriteFailed, match="checkpoint 000002"):
        directory.checkpoints.save(2, {})
    with pytest.raises(WriteFailed, match=r"readonly|read-only|unable to open"), directory.writer() as writer:
        writer.write_step(1, [], {}, {})


def test_a_path_below_a_file_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteFailed, match=r"Could not write a new run in .*Not a directory"):
        RunDirectory.create(tmp_path / "file" / "run", {}, {})


@pytest.mark.parametrize("call", ["rename", "replace", "fsync"])
def test_a_failure_in_the_last_moment_leaves_the_checkpoint_before(tmp_path, monkeypatch, call):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": 1})

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(WriteFailed, match="Input/output error"):
        checkpoints.save(2, {"x": 2})
    monkeypatch.undo()
    assert checkpoints.newest_first() == [1]
    assert checkpoints.load(1) == {"x": 1}
    checkpoints.save(2, {"x": 2})
    assert checkpoints.newest_first() == [2, 1]
