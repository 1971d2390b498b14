"""A process that dies while it promotes a version leaves the one that served, or the new one, and never a half."""

import subprocess
import sys
from pathlib import Path

SCRIPT = str(Path(__file__).with_name("die_promoting.py"))


def test_die_before_and_after_every_rename_and_fsync(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, str(tmp_path / "assistant"), "1", "16"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    died = [line for line in lines if "whole" not in line]
    assert len(died) > 15, "the children were not killed: the test tests nothing"
    assert "whole" in lines[-1], "the last call lies beyond the range: widen it"
    serving = [line[2] for line in lines]
    assert serving == sorted(serving), "once the new version serves, it serves"
    assert {"0", "1"} == set(serving)
    assert all(line[3:5] == ["True", "1"] for line in lines)
