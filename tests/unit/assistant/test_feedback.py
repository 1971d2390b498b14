"""The store of answers and feedback: what it keeps, what it refuses, and several processes at once."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from feedback_people import answer, compared, said
from strop.assistant import Comparison, FeedbackStore
from strop.assistant.tables import MIGRATIONS
from strop.runs.files import WriteFailed


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "new" / "feedback.sqlite") as made:
        made.answered(answer("one", "hello", version=0))
        made.answered(answer("two", "go away", version=1))
        yield made


def test_an_answer_comes_back_as_it_was(store):
    full = answer(
        "three",
        "caf\u00e9 \ud83d",  # half a surrogate pair, as a cut answer may end
        messages=[{"role": "system", "content": "\u4f60"}, {"role": "user", "content": "x"}],
        tokens=[3, 2**40],
        logprobs=[-0.1, -0.0],
        seed=2**70,
        version=None,
    )
    store.answered(full)
    again = store.answer("three")
    assert again.text == "caf\u00e9 \\ud83d"
    assert [again.messages, again.tokens, again.seed, again.version] == [full.messages, (3, 2**40), 2**70, None]
    assert str(again.logprobs) == "(-0.1, -0.0)"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("thumb", True), ("thumb", False), ("rating", 0.25), ("comment", "too long"), ("demonstration", "hi")],
)
def test_each_kind_comes_back(store, kind, value):
    given = store.add(kind, value, rater="bob", inference="one", when=7.0)
    assert store.feedback() == [given]
    assert type(store.feedback()[0].value) is type(value)


def test_a_comparison_comes_back(store):
    given = store.add("comparison", Comparison(a="two", b="one", choice="both bad", shown_first="B"), rater="bob")
    assert store.feedback("comparison") == [given]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("thumb", 1),
        ("thumb", "up"),
        ("rating", 1.1),
        ("rating", float("nan")),
        ("rating", True),
        ("comment", " "),
        ("demonstration", 3),
        ("comparison", "A"),
        ("stars", 5),
    ],
)
def test_wrong_values_are_refused(store, kind, value):
    with pytest.raises(ValueError, match=f"^(kind|{kind})="):
        store.add(kind, value, rater="bob", inference="one")
    assert store.feedback() == []


def test_unknown_ids_are_refused(store):
    with pytest.raises(KeyError, match="no inference 'nine'"):
        store.add("thumb", True, rater="bob", inference="nine")
    with pytest.raises(KeyError, match="no conversation 'nine'"):
        store.add("thumb", True, rater="bob", conversation="nine")
    with pytest.raises(KeyError, match="no inference 'nine'"):
        store.add("comparison", Comparison(a="one", b="nine", choice="A", shown_first="A"), rater="bob")
    with pytest.raises(ValueError, match="one answer or of one conversation"):
        store.add("thumb", True, rater="bob", inference="one", conversation="talk of one")
    with pytest.raises(ValueError, match="it names the person"):
        store.add("thumb", True, rater="", inference="one")


def test_only_answers_to_the_same_are_compared(store):
    store.answered(answer("three", question="say what"))
    with pytest.raises(ValueError, match="answer different messages"):
        store.add("comparison", Comparison(a="one", b="three", choice="A", shown_first="A"), rater="bob")


def test_an_inference_names_one_answer(store):
    with pytest.raises(ValueError, match="'one' is known already"):
        store.write([answer("three"), answer("one")], [])
    assert [one.inference for one in store.answers()] == ["one", "two"]


def test_feedback_is_read_by_version(store):
    store.write([], [said("thumb", True, "one"), said("thumb", True, "two"), compared("one", "two", "A")])
    store.write([], [said("thumb", False, None, conversation="talk of two", id="of the talk")])
    assert [one.id for one in store.feedback(version=0)] == ["ann thumb one", "ann one two"]
    assert [one.id for one in store.feedback(version=1)] == ["ann thumb two", "ann one two", "of the talk"]
    assert [one.id for one in store.feedback("thumb", version=1)] == ["ann thumb two", "of the talk"]
    assert [one.inference for one in store.answers(version=1)] == ["two"]
    assert store.counts() == {"answers": 2, "comparison": 1, "thumb": 3}


def test_a_newer_file_and_another_file_are_refused(store, tmp_path):
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(ValueError, match="a newer strop wrote it"):
        FeedbackStore(store.path)
    (tmp_path / "text.sqlite").write_text("no database, but long enough to be looked at" * 10)
    with pytest.raises(ValueError, match="cannot be read"):
        FeedbackStore(tmp_path / "text.sqlite")


WRITER = """
    import sys
    from feedback_people import answer, said
    from strop.assistant import FeedbackStore

    _, path, name, number = sys.argv
    with FeedbackStore(path) as store:
        for i in range(int(number)):
            store.write([answer(f"{name} {i}")], [said("thumb", True, f"{name} {i}")])
            print(i, flush=True)
"""


def writer(path: Path, name: str, number: int) -> subprocess.Popen:
    places = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), name, str(number)],
        env={**os.environ, "PYTHONPATH": places},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "feedback.sqlite"
    writers = [writer(path, name, 20) for name in ("p", "q")]
    assert [one.wait(60) for one in writers] == [0, 0]
    for one in writers:
        one.stdout.close()
    with FeedbackStore(path) as store:
        assert store.counts() == {"answers": 40, "thumb": 40}
        assert [one.inference for one in store.feedback() if one.inference[0] == "q"] == [f"q {i}" for i in range(20)]


def test_what_was_kept_survives_a_kill(tmp_path):
    path = tmp_path / "feedback.sqlite"
    one = writer(path, "p", 10**6)
    for _ in range(5):
        told = one.stdout.readline()
    one.send_signal(signal.SIGKILL)
    one.wait(60)
    told = (one.stdout.read() or told).split()[-1]
    one.stdout.close()
    with FeedbackStore(path) as store:
        counts = store.counts()
        assert counts["answers"] == counts["thumb"] > int(told)


def test_a_wait_for_another_writer_ends(store):
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._connection.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(WriteFailed, match="Another process has been writing"):
        store.add("thumb", True, rater="bob", inference="one")
    other.close()
    store.add("thumb", True, rater="bob", inference="one")
