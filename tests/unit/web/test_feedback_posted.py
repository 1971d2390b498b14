"""Answers and what people say of them reach the store, whole, under the ids that the client was told."""

import json

import pytest
from fastapi.testclient import TestClient

import served
from strop.assistant.records import Comparison
from strop.runs.files import WriteFailed
from strop.web.app import app

MESSAGES = [{"role": "user", "content": "hello"}]
CHAT = {"model": "tiny", "messages": MESSAGES, "seed": 3, "user": "ann", "store": True}
CHAT |= {"metadata": {"conversation": "talk"}}


@pytest.fixture
def what(tmp_path):
    with served.served(folder=tmp_path) as found:
        yield found


@pytest.fixture
def web(what):
    return TestClient(app(what), base_url="http://localhost")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_kept_as_it_was_sampled(web, what, stream):
    """`to you day 床前 hello you` are the words 3, 4, 2, 6, 0 and 4."""
    answer = web.post("/v1/chat/completions", json=CHAT | {"stream": stream})
    inference = answer.headers["X-Strop-Inference-Id"]
    [kept] = what.store.answers()
    assert (kept.inference, kept.conversation, kept.seed) == (inference, "talk", 3)
    assert kept.rater == what.store.people.hashed("ann")
    assert (kept.text, kept.tokens) == ("to you day 床前 hello you", (3, 4, 2, 6, 0, 4))
    assert kept.logprobs == pytest.approx([-2.1972245773362196] * 6)
    assert list(kept.messages) == MESSAGES


def test_each_of_several_answers_has_its_own_seed(web, what):
    web.post("/v1/chat/completions", json=CHAT | {"n": 2})
    first, second = what.store.answers()
    again = web.post("/v1/chat/completions", json=CHAT | {"seed": second.seed}).json()
    assert again["choices"][0]["message"]["content"] == second.text != first.text


def test_every_kind_of_feedback_is_kept(web, what):
    ids = [
        choice["inference_id"] for choice in web.post("/v1/chat/completions", json=CHAT | {"n": 2}).json()["choices"]
    ]
    compared = {"a": ids[1], "b": ids[0], "choice": "both bad", "shown_first": "A"}
    for kind, value in (("thumb", False), ("rating", 1), ("comment", "短"), ("demonstration", "good day")):
        said = {"kind": kind, "value": value, "inference_id": ids[0], "rater": "ann"}
        assert web.post("/feedback", json=said).json()["id"]
    web.post("/feedback", json={"kind": "thumb", "value": True, "conversation_id": "talk"})
    web.post("/feedback", json={"kind": "comparison", "value": compared, "rater": "bob"})
    found = what.store.feedback()
    assert [(one.kind, one.value) for one in found[:4]] == [
        ("thumb", False),
        ("rating", 1.0),
        ("comment", "短"),
        ("demonstration", "good day"),
    ]
    assert {one.inference for one in found[:4]} == {ids[0]}
    assert (found[4].conversation, found[4].rater) == ("talk", what.store.people.hashed("anonymous"))
    assert found[5].value == Comparison(a=ids[1], b=ids[0], choice="both bad", shown_first="A")


@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({"inference_id": "unknown"}, 404, "there is no inference 'unknown'"),
        ({"inference_id": None, "conversation_id": "unknown"}, 404, "there is no conversation 'unknown'"),
        ({"inference_id": None}, 400, "give inference or conversation"),
        ({"conversation_id": "talk"}, 400, "give inference or conversation"),
        ({"value": "yes"}, 400, "it is True for up or False for down"),
        ({"kind": "rating", "value": 1.5}, 400, "from 0 to 1"),
        ({"kind": "comment", "value": " "}, 400, "not empty"),
        ({"kind": "comment", "value": True}, 400, "a text that is not empty"),
        ({"kind": "comparison"}, 400, "a strop.assistant.Comparison"),
        ({"kind": "praise"}, 400, "Input should be 'thumb'"),
        ({"value": [1]}, 400, "valid boolean"),
        ({"rater": ""}, 400, "at least 1"),
        ({"weight": 3}, 400, "'weight' is not served"),
    ],
)
def test_feedback_that_fits_nothing_is_refused_and_not_kept(web, what, changed, status, says):
    given = web.post("/v1/chat/completions", json=CHAT).json()
    said = {"kind": "thumb", "value": True, "inference_id": given["choices"][0]["inference_id"]} | changed
    answer = web.post("/feedback", json=said)
    assert (answer.status_code, says in answer.json()["error"]["message"]) == (status, True), answer.text
    assert what.store.feedback() == []


def test_half_a_character_in_a_comment_stays_text(web, what):
    given = web.post("/v1/chat/completions", json=CHAT).json()["choices"][0]["inference_id"]
    raw = json.dumps({"kind": "comment", "value": "\ud800", "inference_id": given})
    answer = web.post("/feedback", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400)


def test_completions_and_answers_that_broke_off_are_not_kept(web, what):
    assert web.post("/v1/completions", json={"model": "tiny", "prompt": "hello"}).status_code == 200
    assert what.store.answers() == []


@pytest.mark.parametrize("stream", [False, True])
def test_on_a_full_disk_the_answer_is_given_and_its_loss_is_said(what, stream):
    def full(answers, feedback, asked):
        raise WriteFailed(28, "No space left on device")

    store = type("Full", (), {"write": staticmethod(full), "erasing": what.store.erasing})()
    broken = type(what)(what.name, what.engine, store=store)
    kept = TestClient(app(what), base_url="http://localhost").post("/v1/chat/completions", json=CHAT).json()
    text = kept["choices"][0]["message"]["content"]
    answer = TestClient(app(broken), base_url="http://localhost").post(
        "/v1/chat/completions", json=CHAT | {"stream": stream}
    )
    assert answer.status_code == 200
    said = "the answer could not be kept: [Errno 28] No space left on device"
    if not stream:
        whole = answer.json()
        assert (whole["not_kept"], whole["choices"][0]["message"]["content"]) == (said, text)
        return
    *chunks, last, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert (json.loads(last)["not_kept"], done) == (said, "[DONE]")
    assert "".join(json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks) == text
    assert "not_kept" not in kept


def test_without_an_assistant_there_is_no_feedback():
    with served.served() as bare:
        web = TestClient(app(bare), base_url="http://localhost")
        answer = web.post("/feedback", json={"kind": "thumb", "value": True, "inference_id": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_store")
