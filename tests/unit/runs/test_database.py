"""A damaged, deleted or replaced database raises an error that names it; nothing is created in its place."""

import os
import random
import shutil
import sqlite3

import pytest
from tiny_run import make_episode, make_parts, make_recorder, run_loop

from strop.rollout.engine import OfflineEngine
from strop.runs.database import Damaged
from strop.runs.directory import RunDirectory
from strop.runs.files import Gone
from strop.runs.store import Store
from strop.types import Parts

PAGE = 4096


@pytest.fixture
def directory(tmp_path):
    """A run of 30 steps with episodes, all of it in the main file."""
    made = RunDirectory.create(tmp_path / "run", {"steps": 30}, {})
    with made.writer() as store:
        for step in range(30):
            store.write_step(step, [make_episode(f"{step}/{i}") for i in range(8)], {"reward/mean": 0.5}, {})
    return made


def damage(directory: RunDirectory, page: int, content: bytes) -> None:
    with (directory.path / "run.sqlite").open("r+b") as file:
        file.seek(page * PAGE)
        file.write(content)


def pages(directory: RunDirectory) -> int:
    return (directory.path / "run.sqlite").stat().st_size // PAGE


@pytest.mark.parametrize("content", [bytes(PAGE), random.Random(0).randbytes(PAGE)], ids=["zeros", "noise"])
def test_a_damaged_page_is_noticed_and_named(directory, content):
    directory.check()
    damage(directory, pages(directory) // 2, content)
    with pytest.raises(Damaged, match=r"run\.sqlite is damaged: .*Page \d+.*Put a copy of it back"):
        directory.check()


def test_a_resume_looks_for_damage_first(directory):
    directory.checkpoints.save(30, {"x": 1})
    damage(directory, pages(directory) // 2, bytes(PAGE))
    with pytest.raises(Damaged, match=r"run\.sqlite is damaged"):
        make_recorder(directory, resume=True)
    with directory.lock():
        pass  # which is free again


def test_reading_a_damaged_page_raises_an_error_that_names_the_file(directory):
    for page in range(1, pages(directory)):
        damage(directory, page, bytes(PAGE))
    for read in (Store.metrics, Store.episodes, Store.summaries, Store.events, Store.latest_step):
        with pytest.raises(Damaged, match=r"run\.sqlite is damaged"), directory.reader() as store:
            read(store)


def test_a_readers_own_error_propagates_if_the_file_is_intact(directory):
    with pytest.raises(ValueError, match="has no episode nobody"), directory.reader() as store:
        store.episode("nobody")
    with pytest.raises(sqlite3.OperationalError, match="no such table"), directory.reader() as store:
        store._connection.execute("SELECT * FROM nowhere")


def test_an_empty_file_is_not_taken_for_a_new_run(directory):
    os.truncate(directory.path / "run.sqlite", 0)
    for opened in (directory.reader, directory.writer):
        with pytest.raises(ValueError, match=r"run\.sqlite is empty"):
            opened()
    assert (directory.path / "run.sqlite").stat().st_size == 0


# ------------------------------------------------------------ a run that is gone


def remove(directory):
    shutil.rmtree(directory.path)


def move(directory):
    directory.path.rename(directory.path.with_name("elsewhere"))


def remove_the_file(directory):
    (directory.path / "run.sqlite").unlink()


def replace_by_another_run(directory):
    move(directory)
    RunDirectory.create(directory.path, {}, {})


def replace_by_a_copy(directory):
    copy = shutil.copy(directory.path / "run.sqlite", directory.path / "copy")
    os.replace(copy, directory.path / "run.sqlite")


HOW = [remove, move, remove_the_file, replace_by_another_run, replace_by_a_copy]


class LosesItsRun(OfflineEngine):
    def __init__(self, engine, lose):
        self.engine, self.lose = engine, lose

    def publish(self, policy):
        self.engine.publish(policy)

    def rollout(self, tasks, step):
        if step == 2:
            self.lose()
        return self.engine.rollout(tasks, step)


def seen(path):
    return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()} if path.exists() else None


@pytest.mark.parametrize("lose", HOW)
def test_a_deleted_or_replaced_run_is_noticed_at_the_next_write(tmp_path, lose):
    made = RunDirectory.create(tmp_path / "run", {}, {})
    parts, left = make_parts(), []

    def lose_and_look():
        lose(made)
        left.append(seen(made.path))

    engine = LosesItsRun(parts.engine, lose_and_look)
    losing = Parts(parts.policy, engine, parts.tasks, parts.memory, parts.algorithm, parts.codec)
    with make_recorder(made) as recorder:
        with pytest.raises(Gone, match=r"its run\.sqlite was deleted, moved or replaced") as told:
            run_loop(losing, recorder, 10)
        recorder.fail(recorder.step, told.value)
    assert recorder.step == 2
    assert seen(made.path) == left[0], "nothing is made in its place, and another run there is left alone"


def test_no_checkpoint_is_written_after_the_run_was_deleted(tmp_path):
    made = RunDirectory.create(tmp_path / "run", {}, {})
    with make_recorder(made) as recorder:
        next(recorder.steps(make_parts(), 10))
        remove(made)
        with pytest.raises(Gone):
            recorder._save(make_parts(), 1)
    assert not made.path.exists()
