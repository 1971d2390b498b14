"""Trains two stages in child processes that die, and go on, until one child reaches the end.

`python die_in_stages.py DIR FIRST STOP STRIDE`: for each CALL of the range, in DIR-CALL, a child ends itself, as a kill
would, before its CALL-th os.rename, os.replace or os.fsync; the next child after it; the third reaches the end.
`python die_in_stages.py DIR kill SEED`: SIGKILL at random moments, in DIR.
Prints how many children died, and in which stages they left the run. DIR-whole is the run that nobody kills.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from death import plan_death

import strop
from strop.types import Episode, Task

WORDS = ("red", "blue", "green", "black")
STEPS, KILLS = 6, 8


def copied(task: Task, episode: Episode) -> float:
    """1 for the word, with dice from the global generator."""
    return float(episode.text == task.answer) + 0.01 * random.random()


def config(**changes) -> strop.TrainConfig:
    """A few steps, judged and saved in between."""
    return strop.TrainConfig(
        tasks=[Task(word, word, answer=word) for word in WORDS],
        held_out=[Task(f"{word} again", word, answer=word) for word in WORDS],
        rewards=[copied],
        sampling=strop.Sampling(max_tokens=1),
        group_size=2,
        steps=STEPS,
        eval_every=3,
        checkpoint_every=2,
        threads=1,
        dtype="float32",
        **changes,
    )


def recipe() -> list[strop.Stage]:
    """SFT, then RLOO from its best checkpoint with a KL to it."""
    adam, kl = strop.optimizer.AdamW(lr=0.02), strop.functional.KL(weight=0.1)
    scratch = strop.policies.Scratch(words=WORDS, has_end=False, num_layers=1, width=16, num_heads=2, context=8)
    rloo = strop.algorithms.RLOO.Config(optimizer=adam, kl=kl)
    start = strop.FromStage("sft", checkpoint="best")
    return [
        strop.Stage("sft", config(policy=scratch, algorithm=strop.algorithms.SFT.Config(optimizer=adam))),
        strop.Stage("rl", config(policy=start, algorithm=rloo)),
    ]


def train(path: Path) -> None:
    """Start the run, or go on with it."""
    strop.train(recipe(), path, resume=(path / "stages.json").is_file(), progress=False)


def run_child(path: Path, die_at: int | None = None, after: bool = False) -> int:
    """Fork a child that trains; its process id."""
    pid = os.fork()
    if pid == 0:
        if die_at is not None:
            plan_death(die_at, after)
        try:
            train(path)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def begun(path: Path) -> str:
    """The stages that have begun."""
    return "".join(name[0] for name in ("1-sft", "2-rl") if (path / name / "run.sqlite").is_file()) or "0"


def die_at(path: Path, call: int) -> str:
    left = []
    for after in (False, True):
        code = ended(run_child(path, call, after))
        assert code in (0, 9), f"the child ended with {code}"
        left += [begun(path)] if code == 9 else []
    assert ended(run_child(path)) == 0
    return f"{len(left)} {','.join(left)}"


def kill_at_random(path: Path, seed: int) -> str:
    dice, left = random.Random(seed), []
    while True:
        pid = run_child(path)
        if len(left) < KILLS:
            time.sleep(dice.uniform(0.02, 0.08) * 1.25 ** len(left))  # early first: a small run is soon over
            os.kill(pid, signal.SIGKILL)
        code = ended(pid)
        if code == 0:
            return f"{len(left)} {','.join(left)}"
        assert code == -signal.SIGKILL, f"the child ended with {code}"
        left.append(begun(path))


if __name__ == "__main__":
    torch.set_num_threads(1)  # no thread is lost in a child
    _, directory, *mode = sys.argv
    train(Path(f"{directory}-whole"))  # loads all that training loads, so that children are quick
    if mode[0] == "kill":
        print(kill_at_random(Path(directory), int(mode[1])))
    else:
        for call in range(*map(int, mode)):
            print(die_at(Path(f"{directory}-{call}"), call), flush=True)
