"""A learner that goes on and on, in a process of its own: one at a time, ended cleanly by a signal, and by a kill."""

import signal
import subprocess
import sys
import threading

import pytest

from strop.assistant import Settings, Versions, first_manifest
from strop.assistant.settings import write_settings

pytestmark = pytest.mark.crash
STROP = [sys.executable, "-c", "import sys; from strop.cli.main import main; sys.exit(main())"]
SECONDS = 300


@pytest.fixture
def learner(tmp_path):
    """A process that waits for feedback, in an assistant's folder."""
    (tmp_path / "mine").mkdir()
    write_settings(tmp_path / "mine", Settings())
    versions = Versions(tmp_path / "mine")
    with versions.adding(first_manifest("smollm2", "smollm2")):
        pass
    versions.start()
    command = [*STROP, "learn", "mine", "--continual", "--after", "7"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        try:
            assert process.stderr.readline() == "waits for 7 new pieces of feedback: 0 so far\n"
            yield process
        finally:
            late.cancel()
            process.kill()


def once(tmp_path):
    """What `strop learn` says meanwhile."""
    command = [*STROP, "learn", "mine"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False).stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_it_says_how_to_go_on(learner, number, code):
    learner.send_signal(number)
    out, err = learner.communicate(timeout=SECONDS)
    assert (learner.returncode, out) == (code, "")
    assert err == "stopped; what a round has begun is kept\n\nhint: to go on: strop learn mine --continual --after 7\n"


def test_one_learns_at_a_time_and_a_kill_lets_the_next_one_in(learner, tmp_path):
    assert f"rounds is being written by process {learner.pid}" in once(tmp_path)
    learner.kill()
    learner.wait(SECONDS)
    assert "has 0 new lessons, and learning takes 20" in once(tmp_path)
