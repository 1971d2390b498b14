"""`strop learn` and `strop assistant` on a folder without a model: pages, JSON, rollback and errors."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from feedback_people import answer, compared
from learnt import learnt
from strop.assistant import Manifest, Settings, Versions, decide, first_manifest
from strop.assistant.canary import Canary, write_canary
from strop.assistant.continual import GaveUp
from strop.assistant.feedback import FeedbackStore
from strop.assistant.settings import write_settings


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine"
    path.mkdir()
    write_settings(path, Settings())
    (path / "questions.jsonl").write_text('{"prompt": "q"}\n')
    versions, line = Versions(path), '{"question": "q", "before": "x", "after": "y"}\n'
    with versions.adding(first_manifest("smollm2", "smollm2")) as folder:
        (folder / "diff.jsonl").write_text(line)
    versions.start()
    for number, outcomes in ((1, [1.0] * 60), (2, [0.5] * 60)):
        fields = {"model": "model", "origin": f"rounds/{number}@9", "feedback": ["a"], "when": 1.0}
        with versions.adding(Manifest(number=number, parent=number - 1, **fields)) as folder:
            (folder / "diff.jsonl").write_text(line)
        versions.judged(number, decide(outcomes))
    versions.promote(1)
    with FeedbackStore(path / "feedback.sqlite") as store:
        store.write([answer("one"), answer("two", "hi")], [compared("one", "two", "A")])
        store.pairs.add("one", "two", seldom=0.5)
    return path


def test_the_page(strop, mine):
    said = strop("assistant", "mine")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "mine: version 1 serves"
    row = next(line.split() for line in lines if "refused" in line)
    assert row[:8] == ["2", "refused", "1", "1", "0", "1", "of", "1"]
    assert "Not promoted: it is preferred in 0.500" in said.out
    assert "1 pair: 1 of the 20 that learning takes" in said.out
    assert "the first of two is chosen 1.000 [0.050, 1.000]" in said.out
    assert "(no two people judged the same)" in said.out
    assert "1 pair of answers: 1 other" in said.out


def test_json(strop, mine):
    found = json.loads(strop("assistant", "mine", "--json").out)
    assert (found["serving"], [one["status"] for one in found["versions"]]) == (1, ["served", "serves", "refused"])
    assert found["versions"][1]["verdict"]["promote"] is True
    assert found["queue"] == {"versions": 0, "doubtful": 0, "other": 1}


def test_two_versions_side_by_side(strop, tmp_path):
    learnt(tmp_path / "ours")
    said = strop("assistant", "ours", "diff", "3", "0")
    assert said.code == 0
    assert said.out.startswith("2 of 3 answers changed")
    assert "Because of the air." in said.out
    assert "Name a colour." not in said.out
    found = json.loads(strop("assistant", "ours", "diff", "2", "--json").out)
    assert (found["old"], found["new"]) == (1, 2)
    assert [one["old"] == one["new"] for one in found["answers"]] == [False, False, True]
    assert found["answers"][2] == {"question": "Name a colour.", "old": "Red.", "new": "Red."}
    assert "version 0 has no parent" in strop("assistant", "ours", "diff", "0").err
    for wrong in ((), ("1", "2", "3")):
        assert strop("assistant", "ours", "diff", *wrong).code == 2


def test_a_canary_is_shown_beside_the_version_that_serves(strop, mine):
    versions = Versions(mine)
    with versions.adding(Manifest(number=3, parent=1, model="model", origin="rounds/3@9", when=1.0)) as folder:
        (folder / "diff.jsonl").write_text("")
    canary = Canary(version=3, beside=1, share=0.1, since=0.0)
    write_canary(mine, canary)
    row = next(line for line in strop("assistant", "mine").out.splitlines() if line.startswith("canary"))
    assert "version 3 answers 0.1 of the conversations: liked 0.5" in row
    assert json.loads(strop("assistant", "mine", "--json").out)["canary"]["share"] == 0.1
    write_canary(mine, replace(canary, ended="it is worse"))
    assert "version 3 answers no more conversations: it is worse" in strop("assistant", "mine").out
    versions.rollback(0)
    assert "canary" not in strop("assistant", "mine").out


def test_rollback(strop, mine):
    said = strop("assistant", "mine", "rollback", "0")
    assert said.code == 0
    assert said.err == "version 0 serves; before it version 1 did\n"
    assert said.out.startswith("mine: version 0 serves")
    refused = strop("assistant", "mine", "rollback", "2")
    assert refused.code == 1
    assert "version 2 never served: a rollback is to one that did: 0, 1" in refused.err
    assert strop("assistant", "mine", "rollback").code == 2


def test_a_person_is_forgotten(strop, mine):
    planned = strop("assistant", "mine", "forget", "ann", "--dry-run")
    assert planned.code == 0
    assert planned.out.startswith("would be deleted; nothing is changed\n")
    found = json.loads(strop("assistant", "mine", "forget", "ann", "--json").out)
    assert (found["answers"], found["feedback"], found["left"], found["serving"]) == (2, 1, [], 1)
    assert "2 answers" not in strop("assistant", "mine").out
    again = strop("assistant", "mine", "forget", "ann")
    assert (again.code, again.out.splitlines()[0]) == (0, "deleted")
    told = "nothing is kept under this name: ann."
    assert (told in again.err, told in planned.err) == (True, False)


def test_what_is_left_of_a_person_is_a_failure_that_names_it(strop, mine):
    with FeedbackStore(mine / "feedback.sqlite") as store:
        store.answered(answer("z", "so", question="where is the ZEBRA of mine?", rater="zoe"))
    (mine / "picture.bin").write_bytes(b"\xff where is the ZEBRA of mine?")
    said = strop("assistant", "mine", "forget", "zoe")
    assert said.code == 1
    assert "something of them still stands in picture.bin" in said.err
    assert "look into these, or delete them, by hand" in said.err


def test_what_cannot_be_read_is_a_failure_that_names_it_and_the_rest_goes(strop, mine, monkeypatch):
    with FeedbackStore(mine / "feedback.sqlite") as store:
        store.answered(answer("z", "so", question="where is the ZEBRA of mine?", rater="zoe"))
    (mine / "damaged.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    said = strop("assistant", "mine", "forget", "zoe")
    assert (said.code, said.out.splitlines()[0]) == (1, "deleted")
    assert "could not be read, and may hold something of them: damaged.sqlite" in said.err
    with FeedbackStore(mine / "feedback.sqlite") as store:
        assert "z" not in [one.inference for one in store.answers()]


def test_what_nobody_with_a_key_has_is_told_and_can_be_forgotten(strop, mine):
    """Answers and feedback of ann, who has no key."""
    assert strop("assistant", "mine", "forget", "--without-keys").code == 1
    assert "without a key" not in strop("assistant", "mine", "forget", "zoe").out
    strop("assistant", "mine", "key", "add", "bob")
    assert "without a key 3 more, of nobody who has one: forget --without-keys" in " ".join(
        strop("assistant", "mine", "forget", "zoe").out.split()
    )
    found = json.loads(strop("assistant", "mine", "forget", "--without-keys", "--json").out)
    assert (found["answers"], found["feedback"], found["keyless"]) == (2, 1, 0)
    assert strop("assistant", "mine", "rollback", "0", "--without-keys").code == 2


def test_a_retired_version_is_shown(strop, mine):
    Versions(mine).retire([1, 2], "it learnt from a person who is forgotten", set())
    said = strop("assistant", "mine")
    assert said.out.startswith("mine: version 0 serves")
    assert "is retired since 20" in said.out
    refused = strop("assistant", "mine", "rollback", "1")
    assert (refused.code, "version 1 is retired: it learnt from a person" in refused.err) == (1, True)


def test_forget_is_asked_whom_and_dry_run_is_its_own(strop, mine):
    assert strop("assistant", "mine", "forget").code == 2
    assert strop("assistant", "mine", "rollback", "0", "--dry-run").code == 2
    assert strop("assistant", "mine", "rollback", "one").code == 2


def test_what_cannot_be_learnt_is_said(strop, mine, tmp_path):
    said = strop("learn", "mine")
    assert said.code == 1
    assert "has 1 new lesson, and learning takes 20" in said.err
    for command in ("learn", "assistant"):
        none = strop(command, str(tmp_path / "none"))
        assert none.code == 1
        assert "is no assistant" in none.err
        assert not (tmp_path / "none").exists()


def test_a_learner_that_goes_on_is_stopped_and_gives_up(strop, mine, monkeypatch):
    def ended(error):
        def wait(seconds):
            raise error

        return SimpleNamespace(Event=lambda: SimpleNamespace(wait=wait))

    monkeypatch.setattr("strop.assistant.continual.threading", ended(KeyboardInterrupt()))
    stopped = strop("learn", "mine", "--continual", "--after", 5)
    assert stopped.code == 130
    assert stopped.err.startswith(
        "waits for 5 new pieces of feedback: 1 so far\nstopped; what a round has begun is kept"
    )
    assert "hint: to go on: strop learn mine --continual --after 5" in stopped.err
    assert "waits for 20 new pieces" in strop("learn", "mine", "--continual").err
    by_clock = strop("learn", "mine", "--continual", "--every", "6h")
    assert "has 1 new lesson, and learning takes 20" in by_clock.err
    assert "waits 21600 s for the next round" in by_clock.err
    monkeypatch.setattr("strop.assistant.continual.threading", ended(GaveUp("3 rounds failed in a row")))
    gave_up = strop("learn", "mine", "--continual")
    assert (gave_up.code, gave_up.out) == (1, "")
    assert "error: 3 rounds failed in a row\n\nhint: when that is mended: strop learn mine --continual" in gave_up.err


def test_when_a_round_begins_is_checked(strop, mine):
    assert (strop("learn", "mine", "--every", "6h").code, strop("learn", "mine", "--after", "9").code) == (2, 2)
    wrong = strop("learn", "mine", "--continual", "--every", "6 hours")
    assert (wrong.code, "it is a time such as 90s, 30m, 6h or 1d" in wrong.err) == (2, True)
    assert strop("learn", "mine", "--continual", "--every", "6h", "--after", "9").code == 2
    assert "it is at least 1" in strop("learn", "mine", "--continual", "--after", "0").err


def test_reading_an_assistant_loads_no_torch(mine, tmp_path):
    program = (
        "import sys; from strop.cli.main import main\n"
        "assert main(['assistant', 'mine']) == 0\n"
        "heavy = {'torch', 'transformers', 'peft'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
