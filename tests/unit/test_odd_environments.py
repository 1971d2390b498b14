"""An environment that raises, hangs or returns nonsense FAILS only its own episode, with the reason."""

import sys
import threading

import numpy as np
import pytest
import torch

from strop.codec import WordCodec
from strop.rollout.play import Scene, play
from strop.runs.guards import Watch, close_warning
from strop.samplers.scripted import ScriptedSampler
from strop.types import End, Episode, NonFinite, Sampling, Step, Task, Unscored

CODEC = WordCodec(["a", "b"])
SAY_B = ScriptedSampler(CODEC, lambda prompt: "b")
TASKS = [Task("1", "a"), Task("2", "a")]
OVER = Step("", 1.0, End.TERMINATED)


class Plain:
    """Plays one turn, whatever the task."""

    def __init__(self, task, rng):
        self.task = task

    def start(self):
        return "a"

    def step(self, text):
        return OVER

    def close(self):
        """Nothing is held."""


def run(environment, seconds=60.0) -> list[Episode]:
    scene = Scene(
        environment=environment, rewards={}, codec=CODEC, context=None, seed=0, environment_seconds=seconds
    )  # fmt: skip
    return play(scene, TASKS, 1, SAY_B, Sampling(max_tokens=3), "train", 0)


def error(odd) -> str:
    """What the first task's episode says in an odd environment; the second's, in a plain one, is played."""
    first, second = run(lambda task, rng: odd(task, rng) if task.id == "1" else Plain(task, rng))
    assert second.reward == 1.0
    assert first.end is End.FAILED
    assert isinstance(first.reward, Unscored)
    return first.error


def stepping(answer):
    """An environment whose step gives this."""
    return type("Odd", (Plain,), {"step": lambda self, text: answer()})


async def later():
    return OVER


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: None, "Odd.step returned None: it returns strop.Step(text, reward, end)"),
        (lambda: "go on", "Odd.step returned 'go on': it returns strop.Step("),
        (lambda: ("", 1.0, True), "Odd.step returned ('', 1.0, True): it returns strop.Step("),
        (lambda: Step, "Odd.step returned <class 'strop.types.step.Step'>"),
        (later, "Odd.step returned a coroutine (it is an async function: write def"),
        (lambda: Step("", end=True), "Step.end=True: it is strop.End.TERMINATED"),
        (lambda: Step("", end="done"), "Step.end='done'"),
        (lambda: Step("", "1.0"), "Step.reward='1.0': it is a number"),
        (lambda: Step(None), "Step.text=None: it is a text, or a list of messages"),
        (lambda: Step("", data={"seen": {1, 2}}), "Step.data['seen'] is of type set"),
        (lambda: Step("zebra"), "'zebra' is not in the vocabulary"),
        (sys.exit, "SystemExit"),
    ],
)
def test_a_step_of_another_kind_fails_its_episode(answer, words):
    assert words in error(stepping(answer))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, SystemExit, type("Mine", (BaseException,), {})])
@pytest.mark.parametrize("method", ["__init__", "start", "step"])
def test_whatever_an_environment_raises_fails_its_episode_at_once(kind, method):
    def raises(self, *_):
        raise kind("enough")

    assert error(type("Odd", (Plain,), {method: raises})).endswith(f"{kind.__name__}: enough")


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (lambda task, rng: None, "the environment made None: an episode has start(), step(text) and close()"),
        (type("NoClose", (), {"__init__": Plain.__init__, "start": Plain.start, "step": Plain.step}), "and close()"),
        (type("Odd", (Plain,), {"start": lambda self: None}), "Odd.start returned None: it is a text"),
        (type("Odd", (Plain,), {"start": lambda self: 3}), "Odd.start returned 3: it is a text"),
        (type("Odd", (Plain,), {"start": lambda self: later()}), "Odd.start returned a coroutine"),
        (type("Odd", (Plain,), {"start": lambda self: "zebra"}), "zebra"),
        (type("Odd", (Plain,), {"step": lambda self: OVER}), "takes 1 positional argument but 2 were given"),
        (type("Odd", (Plain,), {"__init__": lambda self: None}), "takes 1 positional argument but 3 were given"),
    ],
)
def test_an_object_that_is_no_environment_fails_its_episode(odd, words):
    assert words in error(odd)


@pytest.mark.parametrize("one", [1, True, np.float32(1), np.array(1.0), torch.ones((), requires_grad=True)], ids=repr)
def test_every_kind_of_number_is_a_turns_reward(one):
    episode = run(stepping(lambda: Step("", one, End.TERMINATED)))[0]
    assert (episode.reward, type(episode.turns[0].reward)) == (1.0, float)


@pytest.mark.parametrize("odd", [float("nan"), 10**400, torch.tensor(float("inf"))], ids=repr)
def test_a_turns_reward_that_is_not_finite_stops(odd):
    with pytest.raises(NonFinite, match="the environment's reward of task 1"):
        run(stepping(lambda: Step("", odd, End.TERMINATED)))


# ---------------------------------------------------------------- closing


def closing(close):
    """An environment that counts who is closed and then does this."""
    closed = []

    class Held(Plain):
        def close(self):
            closed.append(self.task.id)
            if self.task.id == "1":
                close()

    return Held, closed


@pytest.mark.parametrize("raises", [lambda: 1 / 0, sys.exit])
def test_a_close_that_raises_is_an_event_and_does_not_fail_the_episode(raises):
    held, closed = closing(raises)
    first, second = run(held)
    assert sorted(closed) == ["1", "2"]
    assert (first.end, first.reward, second.error) == (End.TERMINATED, 1.0, "")
    kind = "ZeroDivisionError: division by zero" if raises is not sys.exit else "SystemExit"
    assert first.error.endswith(kind)
    said = f"Closing the environment failed in 1 of 2 episodes: {kind}"
    assert close_warning([first, second]).startswith(said)
    _, events = Watch().after(0, [first, second], frozenset(), 3)
    assert [(event.level, said in event.text) for event in events] == [("warning", True)]


def test_a_close_that_hangs_ends_with_its_time():
    release = threading.Event()
    held, closed = closing(lambda: release.wait(60))
    first, second = run(held, seconds=0.2)
    release.set()
    assert sorted(closed) == ["1", "2"]
    assert first.error == "TimeoutError: environment.close took longer than 0.2 seconds"
    assert (first.end, second.error) == (End.TERMINATED, "")


def test_a_failed_episode_is_closed_and_keeps_its_reason():
    held, closed = closing(lambda: 1 / 0)
    held.step = lambda self, text: {}["key"]
    first, _ = run(held)
    assert sorted(closed) == ["1", "2"]
    assert first.error.endswith("KeyError: 'key'")
