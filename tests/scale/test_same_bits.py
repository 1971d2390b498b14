"""Without staleness a run on Ray is the embedded run, to the bit: weights, optimiser, episodes, metrics."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

import fleet
import strop
from fragile import Fragile, is_first

pytestmark = [pytest.mark.scale, pytest.mark.filterwarnings(fleet.LEFT_BEHIND)]
GROUP = 4
"""Episodes of a unit."""
EMBEDDED = strop.scale.Embedded(batch="group")
APART = strop.environments.Apart(environment=Fragile)


def trained(engine, folder, **changed):
    strop.train(fleet.config(engine=engine, **changed), folder, progress=False)
    return folder


def test_two_replicas_give_the_bits_of_one_process(cluster, tmp_path):
    embedded = trained(EMBEDDED, tmp_path / "embedded")
    fleet.assert_equal_runs(embedded, trained(fleet.ray_of(), tmp_path / "ray"))


DEATHS = {
    signal.SIGKILL: ("Worker unexpectedly exits", "these are my last words"),
    signal.SIGSEGV: ("Worker unexpectedly exits", "Fatal Python error: Segmentation fault"),
    signal.SIGTERM: ("exit code 1", "SIGTERM"),
}
"""What a run tells of a replica that ends by a signal."""


def dies_once(task, episode):
    """A reward that takes its process with it, the first time that a unit is played in step 1: by each signal once.

    A unit that took three replicas with it would be given up.
    """
    marks, (_, step, number) = Path(task.data["marks"]), episode.seed
    if step == 1 and is_first(marks / f"unit-{number // GROUP}"):
        death = next(one for one in DEATHS if is_first(marks / str(int(one))))
        print("these are my last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), death)
        time.sleep(60)  # a signal may take a moment
    return fleet.first_word(task, episode)


def test_a_replica_that_is_killed_changes_nothing_and_is_told(cluster, tmp_path):
    marks = [tmp_path / f"unit-{place}" for place in range(len(DEATHS))]
    tasks = [strop.Task(word, word, word, {"marks": str(tmp_path)}) for word in fleet.WORDS]
    changed = {"tasks": tasks, "rewards": {"r": dies_once}, "group_size": GROUP}
    for mark in marks:
        mark.touch()
    embedded = trained(EMBEDDED, tmp_path / "embedded", **changed)
    for mark in marks:
        mark.unlink()
    on_ray = trained(fleet.ray_of(), tmp_path / "ray", **changed)
    fleet.assert_equal_runs(embedded, on_ray)
    lost = sum(one["engine/lost"] for one in strop.Run(on_ray).metrics() if "engine/lost" in one)
    assert lost >= len(DEATHS)  # Ray itself ends one that takes too long to start on a busy machine
    with strop.Run(on_ray).directory.reader() as store:
        texts = [event.text for event in store.events() if "lost a replica" in event.text]
    for number, words in DEATHS.items():
        assert any(all(word in text for word in words) for text in texts), (number, texts)


def test_an_environment_that_dies_in_its_own_process_costs_no_replica_and_no_bit(cluster, tmp_path):
    """Each task's environment is killed once, in the middle of an episode."""
    data = {"what": "killed", "when": "2"}
    tasks = [strop.Task(word, word, word, {**data, "mark": str(tmp_path / word)}) for word in fleet.WORDS]
    policy = strop.policies.Table.Config(words=[*fleet.WORDS, "say"], has_end=True)
    changed = {"tasks": tasks, "policy": policy, "rewards": (), "steps": 2, "algorithm": strop.algorithms.GRPO.Config()}
    marks = [tmp_path / word for word in fleet.WORDS]
    for mark in marks:
        mark.touch()
    embedded = trained(EMBEDDED, tmp_path / "embedded", environment=Fragile, **changed)
    for mark in marks:
        mark.unlink()
    on_ray = trained(fleet.ray_of(), tmp_path / "ray", environment=APART, **changed)
    assert all(mark.exists() for mark in marks), "nobody was killed"
    fleet.assert_equal_runs(embedded, on_ray)
    assert not any(one.get("engine/lost") for one in strop.Run(on_ray).metrics())
