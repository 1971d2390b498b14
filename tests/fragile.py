"""Environments in which something happens to the process, once: a file marks that it has."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from strop.types import End, Step, Task

TURNS = 3


def is_first(mark: Path) -> bool:
    """Whether nobody has been here."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class Fragile:
    """Three turns, whose replies and rewards depend on dice and on all texts. `task.data` may say what happens, when it
    happens (start, close or the number of a turn), and at which mark it has happened, or none for always."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.data, self.rng, self.texts, self.prompt = task.data, rng, list[str](), str(task.prompt)

    def start(self) -> str:
        self.happen("start")
        return f"{self.prompt} {self.word()}"

    def step(self, text: str) -> Step:
        self.texts.append(text)
        self.happen(str(len(self.texts)))
        reward = len(" ".join(self.texts)) + float(self.rng.random())
        return Step(self.word(), reward, End.TERMINATED if len(self.texts) == TURNS else None)

    def close(self) -> None:
        self.happen("close")

    def word(self) -> str:
        return ("red", "blue", "green", "black")[int(self.rng.integers(4))]

    def happen(self, when: str) -> None:
        mark = self.data.get("mark")
        if when != self.data.get("when") or (mark and not is_first(Path(mark))):
            return
        match self.data["what"]:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exits":
                os._exit(7)
            case "hangs":
                time.sleep(600)
            case "raises":
                raise KeyError("the tool is gone")


def nothing(task: Task, rng: np.random.Generator) -> int:
    return 3


class Helped:
    """Starts a helper, says its number, and crashes. `task.data` has `close_fds` for Popen."""

    def __init__(self, task: Task, rng: object) -> None:
        self.close_fds = bool(task.data["close_fds"])

    def start(self) -> str:
        return str(subprocess.Popen(["sleep", "60"], close_fds=self.close_fds).pid)

    def step(self, text: str) -> Step:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError("still here")

    def close(self) -> None: ...


class Moody(Fragile):
    """Says something else in every process."""

    def word(self) -> str:
        return f"{super().word()} {os.getpid()}"
