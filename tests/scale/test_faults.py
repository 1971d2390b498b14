"""What dies in a run on Ray, and what holds then. Each run is a process with a Ray of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faulty
import hosts
import pytest

import fleet
import strop

SCRIPT = str(Path(__file__).with_name("faulty.py"))
DRIVER = ("publish", "waiting", "drawing", "saving", "latest")
SECONDS = 540
pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.filterwarnings(fleet.LEFT_BEHIND)]


def run(home: Path, fault: str, staleness: int = 0, before: Sequence[str] = (), **environment: str) -> int:
    """Train in another process; its exit code. What it wrote is shown where it fails. `before` its command stands."""
    done = subprocess.run(
        [*before, sys.executable, SCRIPT, str(home), fault, str(staleness)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    print(done.stdout, done.stderr)
    return done.returncode


def embedded(home: Path, fault: str) -> Path:
    """The same run without Ray, and without the fault."""
    (home / fault).touch()
    config = faulty.config(home, fault, strop.scale.Embedded(batch="group"))
    strop.train(config, home / "embedded", progress=False)
    (home / fault).unlink()
    return home / "embedded"


def told(home: Path) -> str:
    with strop.Run(home / "run").directory.reader() as store:
        return " ".join(event.text for event in store.events())


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {SECONDS} s for {what}"
        time.sleep(0.05)


def test_a_stopped_replica_is_replaced_after_its_time(tmp_path):
    whole = embedded(tmp_path, "stopped")
    assert run(tmp_path, "stopped") == 0
    assert (tmp_path / "stopped").exists(), "nothing was stopped"
    fleet.assert_equal_runs(whole, tmp_path / "run")
    assert "took longer than 20 s (engine.unit_seconds)" in told(tmp_path)


def test_a_replica_that_ray_kills_for_its_memory_is_replaced_and_the_reason_is_told(tmp_path):
    whole = embedded(tmp_path, "memory")
    now = faulty.memory()
    threshold = 1.0 - (now["MemAvailable"] - 2 * 2**30) / now["MemTotal"]
    limits = {faulty.LIMIT: f"{threshold:.3f}", "RAY_memory_monitor_refresh_ms": "100"}
    assert run(tmp_path, "memory", **limits) == 0
    assert (tmp_path / "memory").exists(), "nobody hoarded"
    fleet.assert_equal_runs(whole, tmp_path / "run")
    assert "memory" in told(tmp_path).lower()


def test_a_node_that_leaves_takes_its_replica_and_nothing_else(tmp_path):
    whole = embedded(tmp_path, "node")
    assert run(tmp_path, "node") == 0
    assert (tmp_path / "node").exists(), "no node left"
    fleet.assert_equal_runs(whole, tmp_path / "run")
    assert "lost a replica" in told(tmp_path)


def test_a_host_that_is_cut_off_is_given_up_and_what_it_answers_later_is_not_learnt(tmp_path):
    """Needs namespaces of the kernel: root, or a system where users may make their own."""
    whole = embedded(tmp_path, "link")
    assert run(tmp_path, "link", before=hosts.APART) == 0
    assert (tmp_path / "link.answered").exists(), "the far host played on alone"
    assert (tmp_path / "link.over").exists(), "the link came back"
    fleet.assert_equal_runs(whole, tmp_path / "run")
    assert "lost a replica" in told(tmp_path)


@pytest.mark.parametrize("point", DRIVER)
def test_a_driver_that_is_killed_goes_on_with_the_same_bits(point, tmp_path):
    whole = embedded(tmp_path, point)
    assert run(tmp_path, point) == -signal.SIGKILL
    assert run(tmp_path, point) == 0
    fleet.assert_equal_runs(whole, tmp_path / "run")


@pytest.mark.parametrize("point", ["waiting", "latest"])
def test_with_staleness_a_killed_driver_learns_every_unit_once_and_none_too_old(point, tmp_path):
    whole = strop.Run(embedded(tmp_path, point))
    assert run(tmp_path, point, staleness=2) == -signal.SIGKILL
    assert run(tmp_path, point, staleness=2) == 0
    learnt = strop.Run(tmp_path / "run").episodes()
    assert [(one.id, one.task.id) for one in learnt] == [(one.id, one.task.id) for one in whole.episodes()]
    assert all(0 <= one.seed[1] - one.version <= 2 for one in learnt)


def test_a_lost_head_ends_the_run_which_goes_on_with_a_new_one(tmp_path):
    """The head is gcs_server; Ray's client ends the driver, once it has waited for it."""
    whole = embedded(tmp_path, "head")
    words = [sys.executable, SCRIPT, str(tmp_path), "head"]
    patience = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
    with subprocess.Popen(words, env={**os.environ, **patience}, stderr=subprocess.DEVNULL) as driver:
        until(lambda: (tmp_path / "head").exists() or driver.poll() is not None, "step 2")
        os.kill(child_named("gcs_server", driver.pid), signal.SIGKILL)
        assert driver.wait(SECONDS) != 0
    assert run(tmp_path, "head") == 0
    fleet.assert_equal_runs(whole, tmp_path / "run")


def child_named(name: str, parent: int) -> int:
    """The process of this name that `parent` started."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        words = place.read_text().replace("(", "").replace(")", "").split()
        if words[1] == name and int(words[3]) == parent:
            return int(words[0])
    raise AssertionError(f"process {parent} has no child {name}")
