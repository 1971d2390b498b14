"""Concurrent and ordered calls: results in order, errors as data, and no call waits for one that hangs."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from strop.rollout import waiting
from strop.rollout.waiting import PATIENCE, hanging, run_concurrently, run_in_order


def test_results_stand_in_the_order_of_the_calls() -> None:
    assert run_concurrently([lambda i=i: i * i for i in range(50)], 5.0, "squares") == [i * i for i in range(50)]
    assert run_concurrently([], 5.0, "nothing") == []


def test_what_a_call_raises_is_its_result() -> None:
    def fails() -> int:
        raise KeyError("lost")

    first, second, third = run_concurrently([lambda: 1, fails, lambda: 3], 5.0, "a call")
    assert (first, third) == (1, 3)
    assert isinstance(second, KeyError)
    assert second.args == ("lost",)


def test_a_call_that_hangs_times_out_and_does_not_delay_others() -> None:
    release = threading.Event()
    calls = [lambda: release.wait(30) and 0, *[lambda i=i: i for i in range(1, 20)]]
    results = run_concurrently(calls, 0.3, "the slow one")
    release.set()
    assert isinstance(results[0], TimeoutError)
    assert str(results[0]) == "the slow one took longer than 0.3 seconds"
    assert results[1:] == list(range(1, 20))


def test_slow_calls_run_concurrently() -> None:
    """Each can only end when all have begun."""
    barrier = threading.Barrier(8, timeout=30)
    assert sorted(run_concurrently([barrier.wait] * 8, 60.0, "a meeting")) == list(range(8))


def test_quick_calls_share_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 30.0)
    assert len(set(run_concurrently([threading.get_ident] * 100, 60.0, "a name"))) == 1


def test_calls_that_have_not_started_in_time_never_start() -> None:
    """The limit is shorter than the patience with one thread, which the first call holds until all is over."""
    release, begun = threading.Event(), list[int]()
    quick = [lambda: begun.append(1) or 1] * 200
    late = run_concurrently([lambda: release.wait(60) and 0, *quick], PATIENCE / 5, "the wait")
    release.set()
    for thread in threading.enumerate():
        while thread.name == "strop: the wait hangs":
            time.sleep(0.001)
    assert all(isinstance(result, TimeoutError) for result in late)
    assert begun == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_exceptions_that_end_a_program_end_only_the_call(kind: type[BaseException]) -> None:
    def ends() -> int:
        raise kind

    for outcomes in (
        run_concurrently([ends, lambda: 1], 60.0, "a call"),
        run_in_order([ends, lambda: 1], 60.0, ["a", "b"]),
    ):
        assert isinstance(outcomes[0], kind)
        assert outcomes[1] == 1


def test_calls_in_order_run_one_by_one_in_one_thread() -> None:
    seen = list[int]()
    calls = [lambda i=i: seen.append(i) or threading.get_ident() for i in range(50)]
    idents = run_in_order(calls, 60.0, ["a call"] * 50) + run_in_order(calls[:1], 60.0, ["a call"])
    assert seen == [*range(50), 0]
    assert len(set(idents)) == 1


def test_each_call_in_order_has_its_own_time_limit() -> None:
    release = threading.Event()
    calls = [lambda: 1, lambda: release.wait(60), lambda: 3, lambda: release.wait(60), lambda: 5]
    one, two, three, four, five = run_in_order(calls, 0.2, ["a", "late b", "c", "late d", "e"])
    assert (one, three, five) == (1, 3, 5)
    assert (str(two), str(four)) == ("late b took longer than 0.2 seconds", "late d took longer than 0.2 seconds")
    assert [hanging()[name] for name in ("a", "late b", "c", "late d", "e")] == [0, 1, 0, 1, 0]
    release.set()
    while hanging()["late b"] or hanging()["late d"]:
        time.sleep(0.001)


def test_many_calls_may_take_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands but for what the calls take, 0.9 of the limit each, and the wait looks at it all the time."""
    now = [0.0]
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(waiting, "GLANCE", 0.001)

    def takes_most_of_its_time() -> int:
        now[0] += 0.9
        return threading.Event().wait(0.01) or 1

    assert run_in_order([takes_most_of_its_time] * 5, 1.0, ["a call"] * 5) == [1] * 5


def test_a_time_limit_longer_than_a_lock_can_wait_is_no_error() -> None:
    assert run_in_order([lambda: 1], 1e30, ["a"]) == run_concurrently([lambda: 1], 1e30, "a") == [1]
