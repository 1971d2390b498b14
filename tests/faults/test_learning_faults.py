"""A full disk and a kill while an assistant learns: the old version serves, and the same command finishes."""

import contextlib
import dataclasses
import resource
import shutil
import subprocess
import sys
import time

import pytest

from strop.assistant import learning, versions
from strop.assistant.home import Assistant
from strop.assistant.learning import learn
from strop.assistant.settings import write_settings
from strop.runs.files import WriteFailed
from unit.assistant.test_learning import collect, first, judged_by_people, made  # noqa: F401

STROP = [sys.executable, "-c", "import sys; from strop.cli.main import main; sys.exit(main())"]
SECONDS = 300


@pytest.fixture
def hasty(made):  # noqa: F811
    """It learns too little to be better, which nobody asks here."""
    write_settings(made.path, dataclasses.replace(made.settings, epochs=1))
    collect(made)
    return made


@contextlib.contextmanager
def full_disk():
    """No file can be written any longer than it is here: writing fails, as where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fails_within(monkeypatch, place, name):
    """While this function runs, the disk is full."""
    whole = getattr(place, name)

    def within(*args, **kwargs):
        with full_disk():
            return whole(*args, **kwargs)

    monkeypatch.setattr(place, name, within)


@pytest.mark.parametrize(
    ("place", "name", "told"),
    [
        (learning, "write_plan", "plan of a round in .*File too large"),
        (learning, "train_round", "in .*: (File too large|database or disk is full|disk I/O error)"),
        (learning, "write_text", "version 1 in .*File too large"),
    ],
)
def test_on_a_full_disk_learning_ends_with_why_and_the_same_call_finishes(hasty, monkeypatch, place, name, told):
    with monkeypatch.context() as patched:
        fails_within(patched, place, name)
        with pytest.raises(WriteFailed, match=told) as caught:
            learn(hasty.path, "people", progress=False)
    assert "\n" not in str(caught.value)
    assert (hasty.versions.serving, hasty.versions.numbers()) == (0, [0])
    hasty.versions.verify(0)
    assert learn(hasty.path, "people", progress=False).status == "waiting"
    hasty.versions.verify(1)


@pytest.mark.parametrize(("moment", "told"), [("judged", "verdict on version 1"), ("promote", "serving.json")])
def test_on_a_full_disk_the_old_version_serves_and_the_same_call_promotes(hasty, monkeypatch, moment, told):
    learn(hasty.path, "people", progress=False)
    judged_by_people(hasty, 1, "A")
    with monkeypatch.context() as patched:
        fails_within(patched, versions.Versions, moment)
        with pytest.raises(WriteFailed, match=f"{told} in .*File too large"):
            learn(hasty.path, "people", progress=False)
    assert hasty.versions.serving == 0
    assert learn(hasty.path, "people", progress=False).serving == 1


@pytest.mark.crash
def test_learning_that_is_killed_while_it_trains_goes_on_to_the_same_version(made, tmp_path):  # noqa: F811
    """`kill -9` once some steps are saved; then the same command, and beside it one that nobody killed."""
    write_settings(made.path, dataclasses.replace(made.settings, epochs=40, batch=4))
    collect(made)
    shutil.copytree(made.path, tmp_path / "whole" / "mine")
    command, other = [*STROP, "learn", "mine", "--judge", "people"], Assistant(tmp_path / "whole" / "mine")
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as learner:
        end = time.monotonic() + SECONDS
        while not steps_saved(made):
            assert learner.poll() is None, f"it ended before it was killed: {learner.stderr.read()}"
            assert time.monotonic() < end, f"waited {SECONDS} s for a checkpoint"
            time.sleep(0.002)
        learner.kill()
    assert (made.versions.serving, made.versions.numbers()) == (0, [0])
    made.versions.verify(0)
    for folder, one in ((tmp_path, made), (tmp_path / "whole", other)):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert one.versions.numbers() == [0, 1], done.stderr
    assert weights(made) == weights(other)


def steps_saved(assistant):
    """The steps of the round's checkpoints but for the one before the first."""
    names = [one.name for one in assistant.rounds.glob("001/*/checkpoints/*")]
    return [int(name) for name in names if name.isdecimal() and int(name)]


def weights(assistant):
    """The checksums of the new version's model."""
    return {name: sha for name, sha in assistant.versions.manifest(1).files.items() if name.endswith(".safetensors")}
