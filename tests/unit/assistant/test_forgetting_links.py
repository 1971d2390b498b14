"""Links and odd folders among runs and versions: none is followed, nothing is held up, and what is left is named."""

import json

import pytest

from feedback_people import answer, said
from learnt import learnt
from strop.assistant import FeedbackStore, Versions, export_feedback, forget
from strop.assistant.removing import remove

ANN, SAID, HERS = "ann@example.com", "a" * 32, "my locker is ZEBRA-7731"


@pytest.fixture
def mine(tmp_path):
    """Version 1, and all after it, learnt from ann, of whom a file tells that can only be named."""
    path = learnt(tmp_path / "mine")
    with FeedbackStore(path / "feedback.sqlite") as store:
        store.write([answer("z", "so be it", question=HERS, rater=ANN)], [])
        store.write([], [said("demonstration", "write ZEBRA of the locker", "z", rater=ANN, id=SAID)])
        export_feedback(store, tmp_path / "sft.jsonl", "sft")
    manifest = Versions(path).folder(1) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"feedback": [SAID]}))
    (path / "picture.bin").write_bytes(b"\xff" + HERS.encode() + b"\xfe\0")
    return path


@pytest.fixture
def far(tmp_path):
    """A folder elsewhere."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "tasks.jsonl").write_text(SAID)
    return tmp_path / "far"


def test_a_run_that_is_a_link_holds_nothing_up(mine, far):
    (mine / "rounds").mkdir(exist_ok=True)
    (mine / "rounds" / "009").symlink_to(far)
    assert forget(mine, [ANN]).left == ("picture.bin", str(far))
    assert not (mine / "rounds" / "009").is_symlink()
    assert (far / "tasks.jsonl").exists()


def test_half_made_folders_in_each_other_go(mine):
    (mine / "rounds" / "005" / ".creating-a-1" / "x" / ".creating-b-1").mkdir(parents=True)
    assert forget(mine, [ANN]).left == ("picture.bin",)
    assert not list((mine / "rounds").rglob(".creating-*"))


def test_a_model_that_is_a_link_is_not_followed(mine, far):
    (Versions(mine).folder(1) / "model").symlink_to(far)
    found = forget(mine, [ANN])
    assert (found.retired, found.left) == ((1, 2, 3), ("picture.bin", str(far)))
    assert [file.name for file in Versions(mine).folder(1).iterdir()] == ["manifest.json"]
    assert (far / "tasks.jsonl").exists()


def test_a_version_that_is_a_link_becomes_a_tombstone_and_nothing_elsewhere_is_touched(mine, far):
    folder = Versions(mine).folder(1)
    folder.rename(far / "001")
    folder.symlink_to(far / "001")
    before = {file: file.read_bytes() for file in far.rglob("*") if file.is_file()}
    found = forget(mine, [ANN])
    assert (found.retired, found.serving) == ((1, 2, 3), 0)
    assert str(far / "001") in found.left
    assert {file: file.read_bytes() for file in far.rglob("*") if file.is_file()} == before
    assert [file.name for file in folder.iterdir()] == ["manifest.json"]
    assert Versions(mine).manifest(1).retired is not None


def test_what_cannot_be_deleted_is_named_and_stays_noted(mine, monkeypatch):
    (mine / "rounds" / "001").mkdir(parents=True)
    (mine / "rounds" / "001" / "tasks.jsonl").write_text(SAID)

    def refusing(path, onerror):
        onerror(None, str(path / "tasks.jsonl"), (PermissionError, PermissionError(), None))
        onerror(None, str(path), (OSError, OSError(), None))

    with monkeypatch.context() as patched:
        patched.setattr("strop.assistant.removing.shutil.rmtree", refusing)
        left = set(forget(mine, [ANN]).left)
    assert left == {"picture.bin", "rounds/001/tasks.jsonl", "feedback.sqlite"}  # which notes it
    with FeedbackStore(mine / "feedback.sqlite") as store:
        assert store.erasing.left() == {SAID: True}
    forget(mine, [ANN])
    assert not (mine / "rounds" / "001").exists()


def test_an_export_that_was_moved_behind_a_link_is_named(mine, far, tmp_path):
    export = tmp_path / "sft.jsonl"
    export.rename(far / "sft.jsonl")
    export.symlink_to(far / "sft.jsonl")
    found = forget(mine, [ANN])
    assert (found.exports, found.left) == ((), ("picture.bin", str(export)))


def test_what_is_gone_is_no_failure(tmp_path):
    assert remove(tmp_path / "nowhere") == remove(tmp_path / "nowhere" / "else")
    assert remove(tmp_path / "nowhere").failed == ()
