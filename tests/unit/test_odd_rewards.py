"""A reward that fails or hangs leaves only its own episodes Unscored; the others are scored as usual."""

import contextvars
import decimal
import math
import random
import signal
import sqlite3
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from strop.codec import WordCodec
from strop.environments.single_turn import SingleTurn
from strop.rewards import GroupReward, from_trl
from strop.rollout import waiting
from strop.rollout.play import Scene, play
from strop.runs.guards import late_warning
from strop.samplers.scripted import ScriptedSampler
from strop.types import End, Episode, NonFinite, PerToken, PerTurn, Sampling, Step, Task, Unscored

CODEC = WordCodec(["a", "b"])
SAY_B = ScriptedSampler(CODEC, lambda prompt: "b")
TASKS = [Task("1", "a"), Task("2", "a")]


def run(reward, seconds=60.0, environment=SingleTurn, **more) -> list[Episode]:
    rewards = {"r": (reward, 1.0)} | {name: (other, 1.0) for name, other in more.items()}
    scene = Scene(
        environment=environment, rewards=rewards, codec=CODEC, context=None, seed=0, reward_seconds=seconds
    )  # fmt: skip
    return play(scene, TASKS, 2, SAY_B, Sampling(max_tokens=3), "train", 0)


def reason(reward, **more) -> str:
    """Why the first task's episodes are Unscored; those of the second are scored."""
    first = run(lambda task, episode: reward(task, episode) if task.id == "1" else 0.5, **more)
    assert [isinstance(episode.reward, Unscored) for episode in first] == [True, True, False, False]
    return first[0].reward.reason


def nothing_hangs() -> None:
    """Wait until what was given up and released has ended, for the tests that follow."""
    while waiting.hanging()["reward 'r'"]:
        time.sleep(0.001)


class Instance:
    def __call__(self, task, episode):
        return 1


@pytest.mark.parametrize(
    "one",
    [
        lambda task, episode: np.array(1), lambda task, episode: torch.ones((), requires_grad=True),
        lambda task, episode: Decimal("1.0"), lambda task, episode: Fraction(2, 2), lambda task, episode: True,
        lambda task, episode: np.bool_(True), lambda task, episode: PerTurn([torch.tensor(1.0)]),
        lambda task, episode: PerToken(np.array([0.5, 0.5])), lambda task, episode: PerTurn(Decimal(1) for _ in "x"),
        GroupReward(lambda task, episodes: torch.ones(len(episodes))), GroupReward(lambda task, episodes: (True, 1)),
        GroupReward(lambda task, episodes: (1 for _ in episodes)), from_trl(lambda completions, **_: [Decimal(1)] * 2),
        Instance(), partial(lambda factor, task, episode: factor, 1.0),
    ],
)  # fmt: skip
def test_every_kind_of_number_is_a_reward(one):
    assert [episode.reward for episode in run(one)] == [1.0] * 4
    assert all(type(episode.reward) is float for episode in run(one))


async def later(task, episode):
    return 1.0


def one_by_one(task, episode):
    yield 1.0


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (lambda task, episode: None, "r returned None: a reward returns a number"),
        (lambda task, episode: "0.5", "r returned '0.5': a reward returns a number"),
        (later, r"r returned a coroutine \(it is an async function: write def"),
        (one_by_one, "r returned <generator"),
        (lambda task, episode: PerTurn([1.0, 2.0]), "r gave PerTurn with 2 numbers for 1 turns"),
        (lambda task, episode: PerToken([None, 1.0]), "r gave PerToken with None in it: each is a number"),
        (lambda task, episode: PerToken(0.5), "'float' object is not iterable"),
        (lambda task, episode: Unscored(3), "Unscored.reason=3"),
        (lambda task: 1.0, "takes 1 positional argument but 2 were given"),
        (lambda task, episode: sys.exit(), "SystemExit"),
        (lambda task, episode: sys.exit("no key"), "SystemExit: no key"),
    ],
)
def test_a_result_that_is_no_number_is_unscored_with_a_reason(odd, words):
    import re

    assert re.search(words, reason(odd))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, type("Mine", (BaseException,), {})])
def test_an_exception_leaves_only_its_own_episodes_unscored(kind):
    def raises(task, episode):
        raise kind("enough")

    assert reason(raises).endswith(f"{kind.__name__}: enough")


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (lambda task, episodes: None, "returned None: it returns a list"),
        (lambda task, episodes: "ab", "returned 'ab': it returns a list"),
        (lambda task, episodes: [1.0], "returned 1 results for 2 episodes"),
        (lambda task, episodes: sys.exit(1), "SystemExit: 1"),
        (later, "returned a coroutine"),
    ],
)
def test_a_group_reward_of_another_kind_leaves_its_group_unscored(odd, words):
    assert all(words in episode.reward.reason for episode in run(GroupReward(odd)))


@pytest.mark.parametrize("odd", [10**400, -(10**400), Decimal("1e400"), Decimal("NaN"), np.float32("inf")], ids=str)
def test_a_number_that_is_not_finite_stops(odd):
    for reward in (lambda task, episode: odd, lambda task, episode: PerTurn([odd])):
        with pytest.raises(NonFinite, match=r"reward 'r' of task 1 is (inf|-inf|nan), for the text 'b'; it is not"):
            run(reward)


def test_a_sum_that_is_not_finite_stops():
    with pytest.raises(NonFinite, match=r"the sum of the rewards of task 1 is inf; it is not finite"):
        run(lambda task, episode: 1e308, other=lambda task, episode: 1e308)
    with pytest.raises(NonFinite, match="reward 'r' of task 1 is inf"):
        run(lambda task, episode: PerToken([1e308, 1e308]))

    class Pays(SingleTurn):
        turns = 0

        def step(self, text):
            self.turns += 1
            return Step("a", 1e308, End.TERMINATED if self.turns == 2 else None)

    with pytest.raises(NonFinite, match="the sum of the rewards of task 1"):
        run(lambda task, episode: 0.0, environment=Pays)


# ---------------------------------------------------------------- the thread


def test_a_call_that_hangs_is_unscored_and_named_and_the_next_goes_on():
    release = threading.Event()

    def hangs(task, episode):
        return release.wait(60) and 1.0

    found = reason(hangs, seconds=0.1)
    assert found == "r: TimeoutError: reward 'r' took longer than 0.1 seconds"
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("strop: reward 'r' hangs") == waiting.hanging()["reward 'r'"] == 2
    episodes = [*run(lambda task, episode: 1.0), Episode("x", TASKS[0], 0, (), (), End.FAILED, found)]
    assert "reward 'r' (2)" in late_warning(episodes)
    assert late_warning(episodes[:-1]) == ""
    release.set()
    nothing_hangs()


def test_rewards_run_one_at_a_time_in_order_in_one_thread():
    asked, threads = [], set()

    def first(task, episode):
        asked.append(("first", episode.id))
        threads.add(threading.get_ident())
        return random.random()

    def second(task, episodes):
        asked.append(("second", [episode.id for episode in episodes]))
        threads.add(threading.get_ident())
        return np.random.random(len(episodes)) + torch.rand(len(episodes)).numpy()

    def seed():
        random.seed(1), np.random.seed(1), torch.manual_seed(1)

    seed()
    episodes = run(first, second=GroupReward(second))
    ids = [episode.id for episode in episodes]
    assert asked == [
        ("first", ids[0]), ("first", ids[1]), ("second", ids[:2]),
        ("first", ids[2]), ("first", ids[3]), ("second", ids[2:]),
    ]  # fmt: skip
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    seed()  # the same draws by hand, in this thread
    by_hand = [random.random() for _ in range(4)]
    drawn = [x for _ in range(2) for x in np.random.random(2) + torch.rand(2).numpy()]
    assert [episode.parts["r"].total for episode in episodes] == by_hand
    assert [episode.parts["second"].total for episode in episodes] == drawn


def test_a_reward_computes_as_it_would_here():
    """Threads of torch, its modes, context variables and what is bound to a thread are those of the caller."""
    mine = contextvars.ContextVar("mine", default=0)
    connections = threading.local()

    def facts(task, episode):
        seen.append((torch.get_num_threads(), torch.is_grad_enabled(), mine.get(), decimal.getcontext().prec))
        if not hasattr(connections, "one"):
            opened.append(sqlite3.connect(":memory:"))
            connections.one = opened[-1]
        return connections.one.execute("SELECT 1").fetchone()[0]

    before, seen, opened = torch.get_num_threads(), [], []
    mine.set(7)
    try:
        for threads in (2, 1):
            torch.set_num_threads(threads)
            with decimal.localcontext(prec=50):
                assert run(facts)[0].reward == 1.0
            assert set(seen) == {(threads, True, 7, 50)}
            seen.clear()
    finally:
        torch.set_num_threads(before)
    assert len(opened) == 1


def test_a_reward_that_needs_the_main_thread_gets_an_explanation():
    def alarm(task, episode):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        return 1.0

    last = reason(alarm).splitlines()[-1]
    assert last.startswith("r needs the main thread (signal only works in main thread")
    assert "reward_seconds is the time limit" in last
    here = sqlite3.connect(":memory:")
    assert "r needs the main thread (SQLite objects" in reason(lambda task, episode: here.execute("SELECT 1"))


def test_a_reward_may_play_and_score_itself():
    def nested(task, episode):
        return run(lambda task, episode: 0.25)[0].reward

    assert run(nested)[0].reward == 0.25


def test_ctrl_c_while_a_reward_runs_ends_the_wait():
    release = threading.Event()

    def hangs(task, episode):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        release.wait(60)
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        run(hangs)
    assert run(lambda task, episode: 1.0)[0].reward == 1.0
    release.set()
    nothing_hangs()


def test_large_finite_rewards_are_measured():
    from strop.runs.measures import step_measures

    episodes = run(lambda task, episode: 1e300 if task.id == "1" else -1e300)
    measures = step_measures(episodes)
    assert measures["reward/mean"] == 0.0
    assert math.isinf(measures["reward/std"])
