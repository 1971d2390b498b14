"""Environments in processes of their own: the same episodes, whatever happens to the processes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from fragile import TURNS, Fragile, Helped, Moody, nothing
from strop.codec import ByteCodec
from strop.environments import Apart, _child
from strop.environments._child import Call, Child, Died, ending, free_child, give_back
from strop.rollout.play import Scene, play
from strop.samplers.scripted import ScriptedSampler
from strop.types import End, Episode, Sampling, Task

APART = Apart(environment=Fragile)


def played(environment, *tasks: Task, group_size: int = 1) -> list[Episode]:
    """An answer says how long its prompt was, so that it depends on all that the environment said."""
    codec = ByteCodec()
    sampler = ScriptedSampler(codec, lambda prompt: f" {len(prompt)} {prompt[-3:]} ")
    scene = Scene(environment=environment, rewards={}, codec=codec, context=None, seed=0)
    return play(scene, tasks, group_size, sampler, Sampling(max_tokens=32), "train", 0)


def task(what: str, when: str, mark: Path | str = "") -> Task:
    return Task("t", "say", data={"what": what, "when": when, "mark": str(mark)})


WHENS = ["1", *(pytest.param(when, marks=pytest.mark.crash) for when in ("", "start", str(TURNS), "close"))]


@pytest.mark.parametrize("when", WHENS)
def test_the_episodes_are_the_same_though_a_process_is_killed(when, tmp_path):
    (mark := tmp_path / "mark").touch()
    given = task("killed", when, mark)
    whole = played(Fragile, given, group_size=3)
    mark.unlink()
    assert played(APART, given, group_size=3) == whole
    assert mark.exists() == bool(when), "nothing was killed"
    assert [len(one.turns) for one in whole] == [TURNS] * 3


@pytest.mark.crash
@pytest.mark.parametrize(("what", "how"), [("killed", "was killed by SIGKILL"), ("exits", "ended with exit code 7")])
def test_three_deaths_fail_their_episode_with_the_exit_code(what, how):
    dead, alive = played(APART, task(what, "2"), Task("alive", "say"))
    assert dead.end is End.FAILED
    assert dead.error.endswith(f"3 processes of the environment died in this episode of task t; the last one {how}")
    assert len(dead.turns) == 2
    assert alive == played(Fragile, task(what, ""), Task("alive", "say"))[1]


@pytest.mark.crash
def test_a_call_that_hangs_fails_its_episode_and_its_process_is_killed(tmp_path):
    began = time.monotonic()
    late, alive = played(Apart(environment=Fragile, seconds=2.0), task("hangs", "2"), Task("alive", "say"))
    assert late.end is End.FAILED
    assert late.error.endswith("step of the environment took longer than 2 seconds (Apart.seconds)")
    assert alive.end is End.TERMINATED
    assert time.monotonic() - began < 30


def test_what_the_environment_raises_comes_with_its_traceback():
    (one,) = played(APART, task("raises", "1"))
    assert one.end is End.FAILED
    assert one.error.endswith("KeyError: 'the tool is gone'")
    assert "fragile.py" in one.error


def test_an_environment_that_says_something_else_when_it_is_played_again_fails(tmp_path):
    (one,) = played(Apart(environment=Moody), task("killed", "2", tmp_path / "mark"))
    assert one.end is End.FAILED
    assert "must depend on its task, rng and the texts alone" in one.error


def test_what_is_no_environment_is_refused_in_words():
    (one,) = played(Apart(environment=nothing), Task("t", "say"))
    assert one.error.endswith("the environment made 3: an episode has start(), step(text) and close()")


def test_what_could_not_start_gives_its_process_back():
    played(APART, Task("t", "say"))
    idle = list(_child._idle)
    assert played(APART, task("raises", "start"))[0].end is End.FAILED
    assert _child._idle == idle


def test_an_interrupted_wait_leaves_no_answer_for_the_next_episode(monkeypatch):
    given = Task("t", "say")
    whole = played(APART, given)
    env = APART(given, np.random.default_rng(0))
    process = _child._idle[-1].process
    whole_poll = Connection.poll
    waits = []

    def poll(pipe, timeout=0.0):
        waits.append(timeout)
        there = whole_poll(pipe, timeout)
        if waits.count(APART.seconds) == 2:  # make is the first
            raise KeyboardInterrupt
        return there

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "poll", poll)
        with pytest.raises(KeyboardInterrupt):
            env.start()
    assert process.returncode == -signal.SIGKILL
    assert process not in [child.process for child in _child._idle]
    assert played(APART, given) == whole


def with_helper(close_fds: bool) -> tuple[Child, int]:
    """A process whose environment has started another, and the number of that one."""
    child = Child()
    child.ask(Call("make", cloudpickle.dumps((Helped, Task("t", "", data={"close_fds": close_fds}), None))), 30.0)
    return child, int(child.ask(Call("start"), 30.0))


def is_gone(process: int) -> bool:
    """Within ten seconds; one that nobody has waited for is gone too."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        with suppress(FileNotFoundError):
            if "Z" in Path(f"/proc/{process}/stat").read_text().split()[2]:
                return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("close_fds", [True, False])
def test_what_a_process_has_started_neither_hides_its_death_nor_outlives_it(close_fds):
    child, helper = with_helper(close_fds)
    with pytest.raises(Died, match="was killed by SIGSEGV"):
        child.ask(Call("step", ""), 5.0)
    assert is_gone(helper)


def test_what_an_idle_process_has_started_ends_with_it():
    child, helper = with_helper(close_fds=True)
    child.process.send_signal(signal.SIGKILL)
    assert child._pipe.poll(10.0)
    give_back(child)
    other = free_child()
    assert other is not child
    give_back(other)
    assert is_gone(helper)


def test_what_a_process_has_started_ends_with_the_run():
    child, helper = with_helper(close_fds=True)
    child._pipe.close()  # as the end of this process would
    assert is_gone(helper)
    child.end()


def test_a_time_limit_is_positive():
    with pytest.raises(ValueError, match=r"Apart.seconds=0.0: a time limit is positive"):
        Apart(environment=Fragile, seconds=0.0)


def test_exit_codes_are_told_in_words():
    assert ending(-signal.SIGSEGV) == "was killed by SIGSEGV"
    assert ending(0) == "ended with exit code 0"


PARENT = """
import os, sys, numpy, strop
from fragile import Fragile
env = strop.environments.Apart(environment=Fragile)(
    strop.Task("t", "say", data={"what": "hangs", "when": "1"}), numpy.random.default_rng(0))
env.start()
print(env._child.process.pid, flush=True)
env.step("")
"""


@pytest.mark.crash
def test_a_process_ends_with_the_run_that_started_it_even_in_a_call_that_hangs():
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=paths) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().decode().strip()
        assert child.exists()
        parent.kill()
        deadline = time.monotonic() + 30
        while child.exists() and "Z" not in (child / "stat").read_text().split()[2]:
            assert time.monotonic() < deadline, "it goes on alone"
            time.sleep(0.01)


RECIPE = """
import strop
from fragile import Fragile

class Own(Fragile):
    def word(self):
        return "own"

def recipe():
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["own", "say", "red"]), tasks=[strop.Task("t", "say")],
        environment=strop.environments.Apart(environment=Own), algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=2), group_size=1, prompts_per_step=1, steps=1)
"""


@pytest.mark.crash
def test_an_environment_of_a_recipe_file_goes_along(tmp_path):
    import strop
    from strop.runs.spec import from_files, load_module

    (tmp_path / "my.py").write_text(RECIPE)
    made = load_module(tmp_path / "my.py").recipe()
    run = strop.train(made, tmp_path / "run", recipe=RECIPE, progress=False)
    (one,) = run.episodes()
    assert one.end is End.TERMINATED, one.error
    assert [turn.text for turn in one.turns]
    assert from_files(tmp_path / "run").environment.seconds == 30.0
