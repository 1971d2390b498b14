"""A process that plays one episode after another, seen from the one that started it."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import Any

END_SECONDS = 10.0
"""For a process to be gone that was killed."""


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
        """The answer. Raises Died, RuntimeError for what the environment raised, and TimeoutError after `seconds`. Then
        the process is killed, and so it is when Ctrl-C ends the wait: the late answer would be taken for the next."""
        try:
            self._pipe.send(call)
            is_there = self._pipe.poll(seconds)
            answer = self._pipe.recv() if is_there else None
        except (EOFError, OSError) as error:
            raise Died(self.end()) from error
        except BaseException:
            self.end()
            raise
        if not is_there:
            self.end()
            raise TimeoutError(f"{call.name} of the environment took longer than {seconds:g} seconds (Apart.seconds)")
        if isinstance(answer, Raised):
            raise RuntimeError(f"in the environment's process:\n{answer.text}")
        return answer

    def is_ready(self) -> bool:
        """Whether it lives and owes nothing: what can be read before a question is its end."""
        return not self._pipe.poll() and self.process.poll() is None

    def end(self) -> str:
        """Kill it, and what it has started itself, and wait until it is gone; how it ended, if it had ended before."""
        if self.process.returncode is None:  # else its number may be another's by now
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that has ended
                os.killpg(self.process.pid, signal.SIGKILL)
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
        if child.is_ready():
            return child
        child.end()
    return Child()


def give_back(child: Child) -> None:
    """For the next episode."""
    _idle.append(child)
