"""Only what a person agreed to is kept, masked; what they take back is deleted; and the server's log quotes nobody."""

import json
import logging
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

import served
from feedback_people import answer
from learnt import learnt
from strop.assistant import Assistant, FeedbackStore, Settings, create
from strop.privacy import Masker
from strop.web import api, keeping
from strop.web.app import app
from strop.web.logs import log_no_texts
from strop.web.server import serving

QUESTION = "hello good day to you"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": QUESTION}], "user": "ann@example.com"}
IN_TALK = {"metadata": {"conversation": "talk"}}


@pytest.fixture
def what(tmp_path):
    with served.served(folder=tmp_path, number=0) as found:
        yield found


@pytest.fixture
def web(what):
    return TestClient(app(what), base_url="http://localhost")


def ask(web, **changed):
    return web.post("/v1/chat/completions", json=CHAT | IN_TALK | changed)


def bytes_of(folder):
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize("said", [{}, {"store": False}, {"store": None}])
@pytest.mark.parametrize("stream", [False, True])
def test_without_consent_nothing_but_a_count_is_kept(web, what, tmp_path, said, stream):
    answer = ask(web, stream=stream, n=2, **said)
    assert answer.status_code == 200
    assert (what.store.answers(), what.store.not_kept()) == ([], 2)
    kept = bytes_of(tmp_path)
    assert [text for text in (QUESTION, "ann@example.com", "talk") if text.encode() in kept] == []
    thumb = {"kind": "thumb", "value": True, "inference_id": answer.headers["X-Strop-Inference-Id"].split(", ")[0]}
    refused = web.post("/feedback", json=thumb)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_id")
    assert "only answers of conversations that may be kept are kept" in refused.json()["error"]["message"]


def test_what_is_taken_back_is_deleted_and_what_others_said_stays(web, what, tmp_path):
    given = ask(web, store=True).json()["choices"][0]["inference_id"]
    other = web.post("/v1/chat/completions", json=CHAT | {"store": True}).json()["choices"][0]["inference_id"]
    for kind, value in (("thumb", True), ("comment", "far too short")):
        web.post("/feedback", json={"kind": kind, "value": value, "inference_id": given})
    web.post("/feedback", json={"kind": "rating", "value": 1, "conversation_id": "talk"})
    web.post("/feedback", json={"kind": "thumb", "value": False, "inference_id": other})
    assert web.delete("/conversations/talk").json() == {"deleted": {"answers": 1, "feedback": 3}}
    assert [one.inference for one in what.store.answers()] == [other]
    assert [one.inference for one in what.store.feedback()] == [other]
    assert [text for text in ("far too short", given) if text.encode() in bytes_of(tmp_path)] == []
    assert web.delete("/conversations/talk").json() == {"deleted": {"answers": 0, "feedback": 0}}


def test_an_answer_under_way_is_not_kept_when_its_conversation_is_taken_back(web, what, monkeypatch):
    """As from a second tab, after the answer has begun and before it is kept."""
    kept = keeping.as_kept

    def as_kept(*given):
        raise AssertionError("it is not to be kept")

    def taken_back(*given):
        with what.withdrawals.taking_back("talk"):
            pass
        return recalled(*given)

    recalled = api.recalled
    monkeypatch.setattr(api, "recalled", taken_back)
    monkeypatch.setattr(keeping, "as_kept", as_kept)
    assert ask(web, store=True).status_code == 200
    assert (what.store.answers(), what.store.not_kept()) == ([], 1)
    monkeypatch.setattr(api, "recalled", recalled)
    monkeypatch.setattr(keeping, "as_kept", kept)
    ask(web, store=True)  # whoever agrees again is kept again
    assert len(what.store.answers()) == 1


def test_any_name_of_a_conversation_can_be_taken_back(web, what):
    for name in ("a/b", "../c", "床 1"):
        ask(web, store=True, metadata={"conversation": name})
        assert web.delete(f"/conversations/{quote(name, safe='')}").json()["deleted"]["answers"] == 1
    assert what.store.answers() == []


def test_a_server_that_keeps_nothing_still_deletes(tmp_path):
    made = learnt(tmp_path / "mine")
    with served.served(assistant=Assistant(made)) as what:
        assert what.store is None
        web = TestClient(app(what), base_url="http://localhost")
        with Assistant(made).feedback() as store:
            conversation = store.answers()[0].conversation
        assert web.delete(f"/conversations/{quote(conversation, safe='')}").json()["deleted"]["answers"] == 1


def test_an_answer_prepared_to_a_question_that_was_taken_back_is_not_kept(web, what):
    ask(web, store=True)
    [kept] = what.store.answers()
    copy = kept.__class__(inference="p", conversation="pair", version=0, messages=kept.messages, text="x", when=1.0)
    assert what.store.prepared([copy], is_fixed=False) is True
    web.delete("/conversations/talk")
    assert what.store.answers() == []
    assert what.store.prepared([copy], is_fixed=False) is False
    assert what.store.prepared([copy], is_fixed=True) is True


def test_what_is_remembered_needs_consent_too(web, what):
    session = {"X-Strop-Session": "k" * 40}
    refused = web.post("/memory/facts", json={"text": "one"}, headers=session)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "no_consent")
    fact = web.post("/memory/facts", json={"text": "I am Ann Lee.", "store": True}, headers=session).json()
    assert fact["text"] == "I am <NAME 1>."
    refused = web.put(f"/memory/facts/{fact['id']}", json={"text": "two"}, headers=session)
    assert refused.status_code == 403


def test_a_server_that_keeps_nothing_refuses_store():
    with served.served() as bare:
        web = TestClient(app(bare), base_url="http://localhost")
        refused = web.post("/v1/chat/completions", json=CHAT | {"store": True})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "store")
        assert web.delete("/conversations/talk").status_code == 404


def test_an_id_that_holds_personal_data_is_not_kept(web, what):
    answer = ask(web, store=True, metadata={"conversation": "ann@example.com"}).json()
    assert "the id of conversation 'ann@example.com' holds personal data" in answer["not_kept"]
    assert what.store.answers() == []


def test_an_assistant_serves_without_keeping_where_nothing_can_be_masked(tmp_path, monkeypatch):
    monkeypatch.setattr("strop.assistant.home.load", lambda model: served.actor())
    create(tmp_path / "mine", "tiny", settings=Settings(max_tokens=4), questions=["hello"] * 50, skills={})
    monkeypatch.setattr("strop.privacy.masker.find_spec", lambda name: None)
    with (
        pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[privacy\]"'),
        serving(None, tmp_path / "mine", print),
    ):
        pass
    with serving(None, tmp_path / "mine", print, is_keeping=False) as what:
        web = TestClient(app(what), base_url="http://localhost")
        assert web.post("/v1/chat/completions", json=CHAT | {"model": "mine"}).status_code == 200
        assert web.post("/v1/chat/completions", json=CHAT | {"model": "mine", "store": True}).status_code == 400
        assert web.get("/memory/facts", headers={"X-Strop-Session": "k" * 40}).status_code == 404
    with FeedbackStore(tmp_path / "mine" / "feedback.sqlite") as store:  # reading needs no packages
        assert store.counts() == {"answers": 0}
        with pytest.raises(ModuleNotFoundError, match="no text is let through"):
            store.add("thumb", True, rater="ann", inference="x")


def test_the_log_of_an_error_quotes_nobody(what, monkeypatch, capfd):
    def broken(*args, **kwargs):
        raise RuntimeError(f"cannot read {QUESTION}")

    monkeypatch.setattr("strop.web.api.begin", broken)
    with served.listened(what) as url:
        body = json.dumps(CHAT).encode()
        asked = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(asked, timeout=30)
    log = capfd.readouterr().err
    assert "A request failed with RuntimeError" in log
    assert QUESTION not in log


def test_a_log_filter_is_added_once():
    log_no_texts()
    before = len(logging.getLogger("uvicorn.error").filters)
    log_no_texts()
    assert len(logging.getLogger("uvicorn.error").filters) == before > 0


def test_a_masker_that_finds_nothing_is_a_choice_in_python(tmp_path):
    with FeedbackStore(tmp_path / "x.sqlite", masker=lambda: Masker(())) as store:
        store.answered(answer("one", "I am Ann Lee."))
        assert store.answer("one").text == "I am Ann Lee."
