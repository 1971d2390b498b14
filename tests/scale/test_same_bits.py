"""Without staleness a run on Ray is the embedded run, to the bit: weights, optimiser, episodes, metrics."""

import os
import signal
from pathlib import Path

import pytest

import fleet
import strop

pytestmark = [pytest.mark.scale, pytest.mark.filterwarnings(fleet.LEFT_BEHIND)]
EMBEDDED = strop.scale.Embedded(batch="group")


def trained(engine, folder, **changed):
    strop.train(fleet.config(engine=engine, **changed), folder, progress=False)
    return folder


def test_two_replicas_give_the_bits_of_one_process(cluster, tmp_path):
    embedded = trained(EMBEDDED, tmp_path / "embedded")
    fleet.assert_equal_runs(embedded, trained(fleet.ray_of(), tmp_path / "ray"))


def dies_once(task, episode):
    """A reward that takes its process with it, the first time that it sees this task in step 1."""
    if episode.seed[1] == 1 and not Path(task.data["mark"]).exists():
        Path(task.data["mark"]).touch()
        print("these are my last words", file=__import__("sys").stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return fleet.first_word(task, episode)


def test_a_replica_that_is_killed_changes_nothing_and_is_told(cluster, tmp_path):
    mark = tmp_path / "mark"
    mark.touch()
    tasks = [strop.Task(word, word, word, {"mark": str(mark)}) for word in fleet.WORDS]
    changed = {"tasks": tasks, "rewards": {"r": dies_once}}
    embedded = trained(EMBEDDED, tmp_path / "embedded", **changed)
    mark.unlink()
    on_ray = trained(fleet.ray_of(), tmp_path / "ray", **changed)
    assert mark.exists(), "nobody died"
    fleet.assert_equal_runs(embedded, on_ray)
    assert sum(one["engine/lost"] for one in strop.Run(on_ray).metrics() if "engine/lost" in one) == 1
    with strop.Run(on_ray).directory.reader() as store:
        (text,) = [event.text for event in store.events() if "lost a replica" in event.text]
    assert "these are my last words" in text
    assert "Worker unexpectedly exits" in text
