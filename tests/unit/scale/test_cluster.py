"""Runs of one process share the Ray that one of them started: the last one ends it."""

import sys
import types

import pytest

import fleet
from strop.scale import cluster
from strop.types import Stopped


@pytest.fixture
def ray(monkeypatch):
    """A module ray that counts its starts and ends."""
    made = types.ModuleType("ray")
    made.is_there, made.calls = False, []

    def init(**wanted):
        made.is_there = True
        made.calls.append(wanted.get("address"))

    def shutdown():
        made.is_there = False
        made.calls.append("shutdown")

    made.init, made.shutdown, made.is_initialized = init, shutdown, lambda: made.is_there
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.setattr(cluster, "find_spec", lambda name: True)
    return made


def test_the_last_run_ends_what_the_first_one_started(ray):
    assert cluster.connect(fleet.ray_of(), 2)
    assert cluster.connect(fleet.ray_of(), 2)
    cluster.disconnect()
    assert ray.calls == ["local"]
    cluster.disconnect()
    assert ray.calls == ["local", "shutdown"]
    assert cluster.connect(fleet.ray_of(), 2)
    cluster.disconnect()
    assert ray.calls == ["local", "shutdown"] * 2


def test_who_is_connected_already_stays_so(ray):
    ray.is_there = True
    assert not cluster.connect(fleet.ray_of(), 2)
    assert ray.calls == []


def test_a_cluster_that_is_not_there_is_named(ray):
    def init(**wanted):
        raise ConnectionError("nobody answers")

    ray.init = init
    with pytest.raises(Stopped, match=r"no Ray was found at 10.0.0.1:1: nobody answers"):
        cluster.connect(fleet.ray_of(address="10.0.0.1:1"), 2)
    assert cluster._runs == 0


def test_a_cluster_that_wants_a_token_is_told_from_one_that_is_not_there(ray):
    def init(**wanted):
        raise ConnectionError("RPC error: InvalidAuthToken: Authentication token is missing or incorrect")

    ray.init = init
    with pytest.raises(Stopped, match=r"no Ray was found at 10.0.0.1:1.*set RAY_AUTH_MODE=token here"):
        cluster.connect(fleet.ray_of(address="10.0.0.1:1"), 2)


def test_what_would_come_again_is_not_waited_for(ray):
    def init(**wanted):
        raise OSError("AF_UNIX path length cannot exceed 107 bytes: '/a/long/TMPDIR'")

    ray.init = init
    with pytest.raises(Stopped, match=r"no Ray can be started on this machine: AF_UNIX path length .*TMPDIR"):
        cluster.connect(fleet.ray_of(), 2)
    assert ray.calls == ["shutdown"]


def test_a_busy_machine_is_given_the_whole_time(ray, monkeypatch):
    tries = []

    def init(**wanted):
        tries.append(1)
        if len(tries) < 3:
            raise TimeoutError("nobody answers yet")
        ray.is_there = True

    ray.init = init
    monkeypatch.setattr(cluster, "START_AGAIN", 0.0)
    assert cluster.connect(fleet.ray_of(), 2)
    cluster.disconnect()
