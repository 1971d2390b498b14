"""Forget a person: every byte of the folder is searched for what they wrote, also copies that no list names."""

import dataclasses
import json
import shutil
import sqlite3

import pytest
from fastapi.testclient import TestClient

import served
from feedback_people import answer, compared, said
from learnt import learnt
from strop.assistant import (
    FeedbackStore,
    Manifest,
    MemoryStore,
    Versions,
    export_feedback,
    forget,
    overview_of,
)
from strop.assistant.copies import walked
from strop.assistant.home import Assistant
from strop.assistant.keys import Keys
from strop.assistant.quarantine import ByHand, read_by_hand, write_by_hand
from strop.assistant.queue import Plan, write_plan
from strop.assistant.settings import read_settings, write_settings
from strop.assistant.settling import settle
from strop.assistant.versions import DamagedVersion
from strop.web import api
from strop.web.app import app
from strop.web.door import Door

ANN, BOB = "ann@example.com", "bob"
HERS = ("my locker is ZEBRA-7731", '我的柜子是"斑马"七七三一号，记好', "write ZEBRA of the locker instead")
HIS = "the weather is fine, says bob"
OF_ANN_0, OF_ANN_1, OF_ANN_ON_HIS, OF_BOB_ON_HERS, OF_BOB_HIMSELF = (f"{n:032x}" for n in range(5))
"""The ids of what they said."""
PLANTED = (*HERS, "ZEBRA", "斑马", ANN, OF_ANN_0, OF_ANN_1)


@pytest.fixture
def mine(tmp_path):
    """Versions 1 and 3 learnt from ann, 2 from bob; runs, an export, and copies hold what she wrote."""
    path = learnt(tmp_path / "mine")
    versions = Versions(path)
    with FeedbackStore(path / "feedback.sqlite") as store:
        asked = [
            {"role": role, "content": text} for role, text in (("user", HERS[1]), ("assistant", "?"), ("user", HERS[0]))
        ]
        two = [answer(f"z{n}", f"so {HERS[1]}", messages=asked, conversation="z", rater=ANN) for n in "ab"]
        his = [answer("bob", "It is.", question=HIS, conversation="of bob", rater=BOB)]
        prepared = [answer(f"p{n}", n, messages=asked, conversation="pair", rater="") for n in "ab"]
        store.write([*two, *his], [])
        store.prepared(prepared, is_fixed=False)
        store.write(
            [],
            [
                compared("za", "zb", "A", rater=ANN, id=OF_ANN_0),
                said("demonstration", HERS[2], "za", rater=ANN, id=OF_ANN_1),
                said("thumb", True, "za", rater=BOB, id=OF_BOB_ON_HERS),
                said("thumb", True, "bob", rater=BOB, id=OF_BOB_HIMSELF),
                said("thumb", False, "bob", rater=ANN, id=OF_ANN_ON_HIS),
            ],
        )
        store.pairs.add("za", "zb", seldom=0.5)
        store.pairs.add("pa", "pb", seldom=0.5)
        store.pairs.next(ANN, None)
        for form in ("dpo", "sft"):
            export_feedback(store, tmp_path / f"{form}.jsonl", form)
    with MemoryStore(path / "memory.sqlite") as memory:
        memory.add(ANN, HERS[0])
        memory.add(BOB, HIS)
    manifest = json.loads((versions.folder(1) / "manifest.json").read_text())
    (versions.folder(1) / "manifest.json").write_text(json.dumps(manifest | {"feedback": [OF_ANN_1]}))
    (versions.folder(1) / "model").mkdir()
    (versions.folder(1) / "model" / "model.safetensors").write_bytes(b"weights of ann")
    run(path, "001", HERS)
    run(path, "002", [HIS])
    run(path, "002-judge", [f"{OF_ANN_0}-pair"])
    write_plan(path / "rounds" / "004.json", Plan(1, [OF_ANN_0], []))
    copies(path)
    return path


def run(path, name, texts):
    folder = path / "rounds" / name / "1-sft"
    folder.mkdir(parents=True)
    (folder / "tasks.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    with sqlite3.connect(folder / "run.sqlite") as connection:
        connection.execute("CREATE TABLE episodes (text TEXT)")
        connection.executemany("INSERT INTO episodes VALUES (?)", [(text,) for text in texts])
    connection.close()


def copies(path):
    """Files that no list names."""
    other = path / "backup" / "of may"
    other.mkdir(parents=True)
    for name in ("feedback.sqlite", "memory.sqlite"):
        shutil.copy(path / name, other / f"old-{name}")
    lines = [json.dumps({"prompt": text}) for text in (HERS[1], HIS)] + [f'{{"raw": "{HERS[0]}"}}']
    (other / "notes.log").write_text("\n".join(lines) + "\n")


def holding(folder, texts):
    """The files under a folder in which one of the texts stands, as UTF-8, UTF-16, or with JSON's escapes."""
    forms = {
        form for text in texts for form in (text.encode(), text.encode("utf-16-le"), json.dumps(text)[1:-1].encode())
    }
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix() for file in files if any(form in file.read_bytes() for form in forms)}


def test_not_a_byte_of_a_person_is_left_and_all_others_is(mine, tmp_path):
    assert len(holding(mine, PLANTED)) >= 6, "the test would find nothing"
    planned = forget(mine, [ANN], dry_run=True)
    found = forget(mine, [ANN])
    assert holding(tmp_path, PLANTED) == set()
    assert (found.answers, found.feedback, found.facts, found.left) == (4, 4, 1, ())
    assert (found.retired, found.serving) == ((1, 2, 3), 0)
    assert found.runs == ("001", "002", "002-judge", "004.json")
    assert [name.rpartition("/")[2] for name in found.exports] == ["dpo.jsonl", "sft.jsonl"]
    assert set(found.copies) == {
        f"backup/of may/{name}" for name in ("old-feedback.sqlite", "old-memory.sqlite", "notes.log")
    }
    assert planned == found.__class__(**{name: getattr(found, name) for name in found.__slots__} | {"serving": 1})
    assert holding(mine, [HIS]) >= {"feedback.sqlite", "memory.sqlite"}
    assert HIS in (mine / "backup" / "of may" / "notes.log").read_text()
    with (
        FeedbackStore(mine / "feedback.sqlite") as store,
        FeedbackStore(mine / "backup/of may/old-feedback.sqlite") as old,
    ):
        assert store.answer("bob") == old.answer("bob")
        ids = [one.id for one in store.feedback()]
        assert OF_BOB_HIMSELF in ids
        assert [one.id for one in old.feedback()] == ids
        assert store.erasing.left() == {}


def test_a_persons_key_goes_and_what_was_decided_of_them(mine):
    with FeedbackStore(mine / "feedback.sqlite") as store:
        ann, bob = store.people.hashed("ann"), store.people.hashed("bob")
    Keys(mine).add("ann")
    write_settings(mine, dataclasses.replace(read_settings(mine), trusted=["ann", "bob"]))
    write_by_hand(mine, ByHand().withhold([ann]).release([bob]))
    forget(mine, ["ann"])
    assert Keys(mine).all() == []
    assert list(read_settings(mine).trusted) == ["bob"]
    assert read_by_hand(mine) == ByHand([bob], [])


def test_a_dry_run_changes_nothing(mine):
    def state():
        return {file: file.read_bytes() for file in mine.rglob("*") if file.is_file() and "sqlite-" not in file.name}

    before = state()
    forget(mine, [ANN], dry_run=True)
    after = state()
    after.pop(mine / "rounds" / "lock")
    assert after == before


def test_versions_that_learnt_from_them_are_tombstones(mine):
    forget(mine, [ANN])
    versions = Versions(mine)
    one = versions.manifest(1)
    assert (one.retired.why, one.feedback, one.files) == ("it learnt from a person who is forgotten", [], {})
    assert one.retired.when > 1e9
    assert [file.name for file in versions.folder(1).iterdir()] == ["manifest.json"]
    assert versions.history == [0, 1, 0]
    assert versions.open_candidate() is None
    with pytest.raises(DamagedVersion, match="version 1 is retired: it learnt from a person who is forgotten"):
        versions.rollback(1)
    assert versions.finish() is None
    assert [line.status for line in overview_of(Assistant(mine)).versions] == [
        "serves",
        "retired",
        "retired",
        "retired",
    ]


def test_a_version_that_learnt_from_others_stays_and_one_that_learnt_again_from_them_goes(mine):
    versions = Versions(mine)
    versions.rollback(0)
    for number, replayed in ((4, [OF_ANN_0]), (5, [])):
        fields = {"model": "tiny", "origin": "x", "feedback": [OF_BOB_HIMSELF], "replayed": replayed, "when": 1.0}
        with versions.adding(Manifest(number=number, parent=0, **fields)):
            pass
    assert forget(mine, [ANN]).retired == (1, 2, 3, 4)
    assert versions.manifest(4).replayed == []
    assert versions.open_candidate() == 5
    assert versions.manifest(5).retired is None


def test_what_was_taken_back_before_still_tells_which_versions_learnt_from_them(mine):
    with FeedbackStore(mine / "feedback.sqlite") as store:
        store.erasing.erase(store.erasing.of_conversation("z"), is_retiring=False)
        settle(Assistant(mine), store)
    assert Versions(mine).serving == 1  # until the person is forgotten
    found = forget(mine, [ANN])
    assert (found.retired, found.serving) == ((1, 2, 3), 0)
    with FeedbackStore(mine / "feedback.sqlite") as store:
        assert store.erasing.of_people([store.people.hashed(ANN)]).feedback == ()


def test_copies_of_weights_that_learnt_from_them_go(mine):
    versions = Versions(mine)
    weights = b"weights that learnt from ann" * 100
    with versions.adding(Manifest(number=4, parent=1, model="model", origin="x", feedback=[OF_ANN_0], when=1.0)) as new:
        (new / "model").mkdir()
        (new / "model" / "model.safetensors").write_bytes(weights)
    (mine / "backup" / "mine.safetensors").write_bytes(weights)
    (mine / "backup" / "others.safetensors").write_bytes(b"others")
    assert "backup/mine.safetensors" in forget(mine, [ANN]).copies
    assert [file.name for file in mine.rglob("*.safetensors")] == ["others.safetensors"]


def test_what_cannot_be_taken_out_is_named(mine):
    (mine / "picture.bin").write_bytes(b"\xff\xfe" + HERS[0].encode())
    found = forget(mine, [ANN])
    assert found.left == ("picture.bin",)
    (mine / "picture.bin").unlink()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_files_in_other_encodings_are_searched_too(mine, encoding):
    """As Windows writes them. The line goes, and the others stay in that encoding."""
    for name, text in (("a.txt", HERS[1]), ("b.txt", HERS[0])):
        (mine / name).write_bytes(f"他说：天气不错\n她说：{text}\n{HIS}\n".encode(encoding))
    found = forget(mine, [ANN])
    assert {"a.txt", "b.txt"} <= set(found.copies)
    assert found.left == ()
    assert (mine / "a.txt").read_bytes() == f"他说：天气不错\n{HIS}\n".encode(encoding)
    assert (mine / "b.txt").read_bytes() == f"他说：天气不错\n{HIS}\n".encode(encoding)


def test_a_link_is_named_and_what_it_leads_to_is_not_touched(mine, tmp_path):
    """Also one to a folder: what lies there is somebody else's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "notes.txt").write_text(HERS[0])
    (mine / "notes.txt").symlink_to(tmp_path / "elsewhere" / "notes.txt")
    (mine / "folder").symlink_to(tmp_path / "elsewhere")
    (mine / "gone").symlink_to(tmp_path / "nowhere")
    (mine / "round").symlink_to(mine)
    assert "notes.txt" not in forget(mine, [ANN], dry_run=True).copies
    assert set(forget(mine, [ANN]).left) == {"notes.txt", "folder/notes.txt"}
    assert (tmp_path / "elsewhere" / "notes.txt").read_text() == HERS[0]


def test_a_session_is_forgotten_by_its_key_and_nobody_unknown_is(mine):
    key = "k" * 40
    with MemoryStore(mine / "memory.sqlite") as memory:
        memory.add("a9ddb2f7e4d1a3aeb5c0f4c1f8a2d1b9d2b3c4d5e6f708192a3b4c5d6e7f8091", "somebody else entirely")
        from hashlib import sha256

        memory.add(sha256(key.encode()).hexdigest(), "the spare key lies under the mat")
    assert forget(mine, [key]).facts == 1
    assert holding(mine, ["under the mat"]) == set()
    nobody = forget(mine, ["nobody at all"])
    assert (nobody.answers, nobody.feedback, nobody.facts, nobody.retired) == (0, 0, 0, ())
    assert holding(mine, ["somebody else entirely"]) == {"memory.sqlite"}


def test_what_somebody_with_a_key_wanted_remembered_is_forgotten_with_their_name(mine):
    secret = Keys(mine).add("ann")
    with served.served(folder=mine) as what:
        what.door = Door(Keys(mine))
        web = TestClient(app(what), base_url="http://localhost", headers={"Authorization": f"Bearer {secret}"})
        assert web.post("/memory/facts", json={"text": "under the mat", "store": True}).status_code == 200
    assert forget(mine, ["ann"]).facts == 1
    assert holding(mine, ["under the mat"]) == set()


def test_an_answer_under_way_while_its_person_is_forgotten_is_not_kept(mine, monkeypatch):
    """Asked before, whole afterwards; another process forgets in between."""
    with served.served(folder=mine) as what:
        web = TestClient(app(what), base_url="http://localhost")
        asked = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "user": ANN, "store": True}
        recalled = api.recalled

        def forgotten(*given):
            forget(mine, [ANN])
            return recalled(*given)

        with monkeypatch.context() as patched:
            patched.setattr(api, "recalled", forgotten)
            answered = web.post("/v1/chat/completions", json=asked).json()
        assert "it was asked before somebody was forgotten" in answered["not_kept"]
        assert [one.inference for one in what.store.answers() if one.rater == what.store.people.hashed(ANN)] == []
        assert "not_kept" not in web.post("/v1/chat/completions", json=asked).json()


@pytest.mark.parametrize("file", ["feedback.sqlite", "memory.sqlite"])
def test_what_they_write_while_they_are_forgotten_is_named(mine, monkeypatch, file):
    def meanwhile(*given):
        with FeedbackStore(mine / "feedback.sqlite") as store, MemoryStore(mine / "memory.sqlite") as memory:
            if file == "feedback.sqlite":
                store.answered(answer("new", "hello", rater=ANN))
            else:
                memory.add(ANN, "the spare key lies under the mat")
        return settle(*given)

    monkeypatch.setattr("strop.assistant.forgetting.settle", meanwhile)
    assert forget(mine, [ANN]).left == (file,)
    monkeypatch.undo()
    assert forget(mine, [ANN]).left == ()


def test_a_key_goes_before_what_is_searched(mine, monkeypatch):
    """So that nothing more comes in of a person who has one."""
    Keys(mine).add("ann")

    def of_people(self, names):
        assert Keys(mine).all() == []
        raise SystemExit

    monkeypatch.setattr("strop.assistant.erasing.Erasing.of_people", of_people)
    with pytest.raises(SystemExit):
        forget(mine, ["ann"])


def test_a_text_that_others_wrote_too_is_no_trace(mine):
    with FeedbackStore(mine / "feedback.sqlite") as store:
        store.answered(answer("b2", "fine", question=HERS[0], conversation="of bob", rater=BOB))
    assert forget(mine, [ANN]).left == ()
    assert "feedback.sqlite" in holding(mine, [HERS[0]])


def test_an_export_that_was_changed_since_is_not_deleted(mine, tmp_path):
    (tmp_path / "sft.jsonl").write_text("another file by now")
    found = forget(mine, [ANN])
    assert (len(found.exports), found.left) == (1, ())
    assert (tmp_path / "sft.jsonl").read_text() == "another file by now"


def test_an_export_that_was_changed_and_still_holds_something_of_them_is_named(mine, tmp_path):
    export = tmp_path / "sft.jsonl"
    export.write_text(export.read_text() + "mine\n")
    assert forget(mine, [ANN]).left == (str(export),)
    assert "mine" in export.read_text()


@pytest.mark.parametrize("crash", ["erase", "settle", "retire", "done"])
def test_what_a_crash_cut_off_is_completed_by_the_same_call(mine, tmp_path, monkeypatch, crash):
    class Crash(Exception):
        pass

    def crashing(*args, **kwargs):
        raise Crash

    place = {
        "erase": "strop.assistant.erasing.Erasing.erase",
        "settle": "strop.assistant.forgetting.settle",
        "retire": "strop.assistant.removing.shutil.rmtree",
        "done": "strop.assistant.erasing.Erasing.done",
    }[crash]
    with monkeypatch.context() as patched:
        patched.setattr(place, crashing)
        with pytest.raises(Crash):
            forget(mine, [ANN])
    assert forget(mine, [ANN]).left == ()
    assert holding(tmp_path, PLANTED) == set()
    assert Versions(mine).serving == 0
    assert not (Versions(mine).folder(1) / "model").exists()
    assert sorted(entry.name for entry in (mine / "rounds").iterdir()) == ["lock"]


def test_a_link_beside_a_folder_does_not_hide_it(tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "chat.log").write_text("hers")
    (tmp_path / "a link to copies").symlink_to("copies")
    (tmp_path / "zz").symlink_to(tmp_path / "copies")
    (tmp_path / "copies" / "round").symlink_to(tmp_path)
    assert walked(tmp_path).files == (tmp_path / "copies" / "chat.log",)
