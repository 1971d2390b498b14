"""A process that plays one episode after another, seen from the one that started it."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import Any

END_SECONDS = 10.0
"""For a process to be gone that was killed, or that nobody asks any more."""


@dataclass(frozen=True, slots=True)
class Call:
    """make (an environment, task and rng, pickled), start, step (with a text) or close."""

    name: str
    argument: Any = None


@dataclass(frozen=True, slots=True)
class Raised:
    """What the environment raised, as the text of its traceback: its class may exist in its own process alone."""

    text: str


class Died(Exception):
    """The process is gone. The text goes on behind its name: `was killed by SIGKILL`."""


class Child:
    """One such process, with the paths of this one. It reads no terminal, and Ctrl-C is not for it."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "strop.environments._in_child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a run writes to stdout is data
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )

    def ask(self, call: Call, seconds: float) -> Any:
        """The answer. Raises Died, RuntimeError for what the environment raised, and TimeoutError after `seconds`, when
        the process is killed: what it does could not be told apart from its next answer."""
        try:
            self._pipe.send(call)
            is_there = self._pipe.poll(seconds)
            answer = self._pipe.recv() if is_there else None
        except (EOFError, OSError) as error:
            raise Died(self.end()) from error
        if not is_there:
            os.killpg(self.process.pid, signal.SIGKILL)  # and what it has started itself
            self.end()
            raise TimeoutError(f"{call.name} of the environment took longer than {seconds:g} seconds (Apart.seconds)")
        if isinstance(answer, Raised):
            raise RuntimeError(f"in the environment's process:\n{answer.text}")
        return answer

    def end(self) -> str:
        """Ask no more, and wait until it is gone; how it ended."""
        self._pipe.close()
        self.process.wait(END_SECONDS)
        return ending(self.process.returncode)


def ending(code: int) -> str:
    """How a process ended, by the return code that subprocess has for it."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


_idle: list[Child] = []
"""Those without an episode."""


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().end()


def free_child() -> Child:
    """One that is idle, or a new one."""
    while _idle:
        child = _idle.pop()
        if child.process.poll() is None:
            return child
    return Child()


def give_back(child: Child) -> None:
    """For the next episode."""
    _idle.append(child)
