"""The store gives back exactly what was written."""

import math
import sqlite3

import numpy as np
import pytest
from tiny_run import make_episode

from strop.runs import schema
from strop.runs.records import Event
from strop.runs.store import Store
from strop.types import Completion, End, Part, Source, Task, Turn, Unscored


@pytest.fixture
def path(tmp_path):
    Store.create(tmp_path / "run.sqlite")
    return tmp_path / "run.sqlite"


def rich_episode(id="3/1"):
    """Everything an episode can hold, at the edges of its types."""
    turns = (
        Turn(
            (2**40, 0, -1), Completion((7, 2**31), (-1e-300, -0.1), "stop"), "a 'quoted' 写", -0.0, {"move": [1, None]}
        ),
        Turn((), Completion((), (), "length"), "", 1 / 3),
        Turn((1,), Completion((1, 2), None, "length"), "from data", 2.0),
        Turn((1,), Completion((3,), (math.nan,), "length"), "unknown", 2.0),
    )
    parts = {
        "z": Part(0.1, 0.7, turns=(0.1, 0.2, 0.4, 0.0)),
        "a": Part(0.0, Unscored("no key"), tokens=()),
        "m": Part(-2.0, -0.0, tokens=(1e-17, 0.0, 1.0, 2.0, 3.0)),
    }
    task = Task("t", [{"role": "user", "content": "hi\x00"}], "42", {"words": ["x"], "deep": {"pi": math.pi}})
    return make_episode(
        id, task=task, turns=turns, parts=parts, final=(1, 2, 3), end=End.TRUNCATED, version=7, seed=(1, 2**70)
    )


def test_an_episode_comes_back_exactly(path):
    failed = make_episode("3/2", end=End.FAILED, error="boom", source=Source.HUMAN, seed=())
    with Store.open(path) as store:
        store.write_step(3, [rich_episode(), failed], {}, {})
    with Store.read(path) as store:
        assert repr(store.episode("3/1")) == repr(rich_episode())  # repr tells -0.0 from 0.0 and sees NaN
        assert store.episode("3/1").reward == rich_episode().reward
        assert store.episodes()[1] == failed


def test_a_summary_keeps_text_scores_and_the_reason(path):
    bad = make_episode("0/1", parts={"good": Part(1.0, Unscored("ValueError: x"))})
    with Store.open(path) as store:
        store.write_step(0, [make_episode("0/0"), bad], {}, {})
        scored, unscored = store.summaries()
    assert (scored.text, scored.reward, scored.reason, scored.kept) == ("1 2 9", 0.5, None, True)
    assert (unscored.reward, unscored.reason) == (None, "good: ValueError: x")


def test_metrics_come_back_bit_for_bit_and_not_a_number_as_itself(path):
    with Store.open(path) as store:
        store.write_step(0, [], {"a/x": 0.1 + 0.2, "a/nan": math.nan, "a/inf": math.inf}, {})
        (row,) = store.metrics()
    assert row["a/x"] == 0.1 + 0.2
    assert math.isnan(row["a/nan"])
    assert row["a/inf"] == math.inf


def test_a_rewind_deletes_later_training_and_keeps_the_evaluation_of_its_step(path):
    with Store.open(path) as store:
        for step in range(4):
            store.write_evaluation(step, [make_episode("h")], {"held_out/reward": step})
            events = [Event(step, "warning", "slow"), Event(step, "error", "boom")]
            opinion = {(f"{step}/0", "advantage"): np.zeros(3, np.float32)}
            store.write_step(step, [make_episode(f"{step}/0")], {"reward/mean": 1.0}, opinion, events)
        store.rewind(2)
        assert store.latest_step() == 1
        assert [step for step, _ in store.series("reward/mean")] == [0, 1]
        assert [step for step, _ in store.series("held_out/reward")] == [0, 1, 2]
        assert [episode.id for episode in store.episodes()] == ["0/0", "1/0"]
        assert len(store.episodes("evaluate")) == 3
        assert (len(store.opinions("1/0")), len(store.opinions("2/0"))) == (1, 0)
        assert [e.step for e in store.events() if e.level == "warning"] == [0, 1]
        assert [e.step for e in store.events() if e.level == "error"] == [0, 1, 2, 3]  # history stays


def test_best_is_gold_where_there_is_gold_else_reward_and_the_first_of_equals(path):
    with Store.open(path) as store:
        assert store.best_step() is None
        for step, reward in enumerate((0.1, 0.9, 0.9, math.nan)):
            store.write_evaluation(step, [], {"held_out/reward": reward})
        assert store.best_step() == 1
        store.write_evaluation(4, [], {"held_out/reward": 0.0, "held_out/gold": 0.2})
        assert store.best_step() == 4


def test_a_step_that_cannot_be_written_leaves_nothing(path):
    data: dict[str, object] = {"when": "now"}
    task = Task("t", "p", data=data)
    data["when"] = object()
    with Store.open(path) as store:
        with pytest.raises(ValueError, match=r"JSON values .* task t holds a object"):
            store.write_step(0, [make_episode("0/0"), make_episode("0/1", task=task)], {}, {})
        assert store.latest_step() is None
        assert store.summaries() == []


def test_a_reader_sees_whole_steps_beside_the_writer(path):
    with Store.open(path) as writer, Store.read(path) as reader:
        assert reader.latest_step() is None
        writer.write_step(0, [make_episode()], {}, {})
        assert reader.latest_step() == 0
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._connection.execute("DELETE FROM steps")


def test_the_writer_waits_for_the_disk(path):
    with Store.open(path) as store:
        assert store._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_an_older_file_is_migrated_and_a_newer_one_refused(path, monkeypatch):
    def one_more(connection):
        connection.execute("ALTER TABLE steps ADD COLUMN more INTEGER")

    with Store.open(path) as store:
        store.write_step(0, [], {"a/b": 1.0}, {})
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, one_more))
    with Store.read(path) as store:  # what is new is a column, which readers can do without
        assert store.series("a/b") == [(0, 1.0)]
    monkeypatch.setattr(schema, "READABLE", len(schema.MIGRATIONS))
    with pytest.raises(ValueError, match="Continue the run once"):
        Store.read(path)
    with Store.open(path) as store:
        assert store.series("a/b") == [(0, 1.0)]
        assert schema.version(store._connection) == len(schema.MIGRATIONS)
    monkeypatch.undo()
    for opener in (Store.read, Store.open):
        with pytest.raises(ValueError, match="newer strop"):
            opener(path)


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path):
    (tmp_path / "run.sqlite").write_text("not a database, but long enough to look at" * 20)
    for opener in (Store.read, Store.open):
        with pytest.raises(ValueError, match="cannot be read"):
            opener(tmp_path / "run.sqlite")
    with pytest.raises(ValueError, match="does not exist"):
        Store.read(tmp_path / "other.sqlite")


def test_metrics_of_an_evaluation_carry_their_prefix(path):
    with Store.open(path) as store, pytest.raises(ValueError, match="held_out/"):
        store.write_evaluation(0, [], {"reward": 1.0})
