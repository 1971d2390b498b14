"""Runs the tiny run in child processes that die, again and again, until one child reaches the end.

`python die_often.py DIR STEPS kill SEED`: SIGKILL at random moments.
`python die_often.py DIR STEPS at FIRST STOP STRIDE`: for each CALL of the range, in DIR-CALL, one child ends itself, as
a kill would, before its CALL-th os.rename, os.replace or os.fsync; the next child after it; the third reaches the end.
Prints how many children died.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "runs"))

import tiny_run
import torch
from death import plan_death

from strop.types import Pick

KILLS = 12


def run_child(path: str, steps: int, die_at: int | None = None, after: bool = False) -> int:
    """Fork a child that starts or continues the run; its process id."""
    pid = os.fork()
    if pid == 0:
        if die_at is not None:
            plan_death(die_at, after)
        tiny_run.main(path, steps)
        os._exit(0)
    return pid


def kill_at_random(path: str, steps: int, seed: int) -> int:
    dice, died = random.Random(seed), 0
    while True:
        pid = run_child(path, steps)
        if died < KILLS:
            time.sleep(dice.uniform(0.0, 0.1))
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            return died
        assert code == -signal.SIGKILL, f"the child ended with {code}"
        died += 1


def die_at(path: str, steps: int, call: int) -> int:
    died = 0
    for after in (False, True):
        code = os.waitstatus_to_exitcode(os.waitpid(run_child(path, steps, call, after), 0)[1])
        assert code in (0, 9), f"the child ended with {code}"
        died += code == 9
    code = os.waitstatus_to_exitcode(os.waitpid(run_child(path, steps), 0)[1])
    assert code == 0, f"the last child ended with {code}"
    return died


def warm_up() -> None:
    """Load what torch loads at a first update, so that children are quick."""
    parts = tiny_run.make_parts()
    parts.algorithm.update(tiny_run.make_batch((Pick(tiny_run.make_episode()),)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    warm_up()
    _, path, steps, mode, *number = sys.argv
    if mode == "kill":
        print(kill_at_random(path, int(steps), int(number[0])))
    else:
        for call in range(*map(int, number)):
            print(die_at(f"{path}-{call}", int(steps), call), flush=True)
