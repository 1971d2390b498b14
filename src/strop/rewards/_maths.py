"""The process that compares answers, started when it is first asked, and ended when it takes too long."""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time

from strop.rewards._maths_worker import READY

START_SECONDS = 120.0
"""For the process to import what it needs."""


class Maths:
    """One such process, shared by all rewards: it is asked one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def is_same(self, answer: str, text: str, seconds: float) -> bool | None:
        """Whether the text says the answer; None if there was no verdict within `seconds`."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            process.stdin.write(json.dumps({"answer": answer, "text": text}).encode() + b"\n")
            process.stdin.flush()
            line = _line(process, seconds)
            if not line:
                self._end()
                return None
            return bool(json.loads(line))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        command = [sys.executable, "-m", "strop.rewards._maths_worker"]
        paths = os.pathsep.join(filter(None, sys.path))  # what this process can import
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )
        if _line(self._process, START_SECONDS) != READY.encode():
            self._end()
            raise TimeoutError(f"math-verify did not start within {START_SECONDS:g} seconds, or could not be imported.")
        return self._process

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            if self._process is not None:
                self._end()

    def _end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None


def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The next line without its end; empty if there is none within `seconds`, or the process has ended."""
    assert process.stdout is not None
    received, deadline = b"", time.monotonic() + seconds
    while not received.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(process.stdout.fileno(), 65_536) if ready else b""
        if not part:
            return b""
        received += part
    return received.strip()


MATHS = Maths()
atexit.register(MATHS.close)
