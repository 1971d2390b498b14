"""A person who is forgotten while a request of theirs is still arriving: nothing of it is kept."""

import asyncio
import json

import pytest

import served
from feedback_people import answer
from learnt import learnt
from strop.assistant import FeedbackStore, forget
from strop.assistant.keys import Keys
from strop.web.app import app
from strop.web.door import Door

ANN, KEY = "ann@example.com", "k" * 40
TOLD = "the spare key lies under the mat"
ASKED = [{"role": "user", "content": "hello"}]


@pytest.fixture
def mine(tmp_path):
    """Where bob was answered, and two pairs wait to be compared."""
    path = learnt(tmp_path / "mine")
    with FeedbackStore(path / "feedback.sqlite") as store:
        store.write([answer(name, name, question="which?", rater="bob") for name in ("his", "one", "two")], [])
        store.pairs.add("his", "one", seldom=0.5)
    return path


def posted(what, path, body, headers, meanwhile):
    """The status and the answer of a request whose second half arrives after `meanwhile`."""
    body = json.dumps(body).encode()
    parts, sent = [body[:5], body[5:]], []

    async def receive():
        if len(parts) == 1:
            meanwhile()
        await asyncio.sleep(0)
        if not parts:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    headers += [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    asyncio.run(asyncio.wait_for(app(what)(scope, receive, send), 20.0))
    return sent[0]["status"], json.loads(b"".join(one.get("body", b"") for one in sent[1:]))


def traces(folder, texts):
    """The files in which one of them stands."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.name for file in files if any(text.encode() in file.read_bytes() for text in texts)}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/memory/facts", {"text": TOLD, "store": True}),
        ("/feedback", {"kind": "thumb", "value": True, "inference_id": "his", "rater": ANN}),
        ("/feedback", {"kind": "comment", "value": TOLD, "inference_id": "his", "rater": ANN}),
        ("/pairs/next", {"rater": ANN}),
        ("/pairs/skip", {"rater": ANN, "pair": 1}),
    ],
)
def test_what_arrives_while_they_are_forgotten_is_refused(mine, path, body):
    with served.served(folder=mine) as what:
        headers = {"X-Strop-Session": KEY} if "memory" in path else {}
        status, said = posted(what, path, body, headers, lambda: forget(mine, [ANN, KEY]))
        assert (status, said["error"]["code"]) == (409, "not_kept")
        assert "it was asked before somebody was forgotten" in said["error"]["message"]
        assert traces(mine, [TOLD, what.store.people.hashed(ANN)]) == set()
        assert posted(what, path, body, headers, lambda: None)[0] == 200  # what is sent afterwards is of now


def test_a_question_that_arrives_while_they_are_forgotten_is_answered_and_not_kept(mine):
    with served.served(folder=mine) as what:
        body = {"model": "tiny", "messages": ASKED, "user": ANN, "store": True}
        status, said = posted(what, "/v1/chat/completions", body, {}, lambda: forget(mine, [ANN]))
        assert (status, "before somebody was forgotten" in said["not_kept"]) == (200, True)
        assert traces(mine, [what.store.people.hashed(ANN)]) == set()


def test_what_somebody_with_a_key_has_on_its_way_is_refused_too(mine):
    secret, _ = Keys(mine).add("ann"), Keys(mine).add("bob")
    with served.served(folder=mine) as what:
        what.door = Door(Keys(mine))
        body, headers = {"text": TOLD, "store": True}, {"Authorization": f"Bearer {secret}"}
        assert posted(what, "/memory/facts", body, headers, lambda: forget(mine, ["ann"]))[0] == 409
        assert traces(mine, [TOLD]) == set()


def test_a_key_that_goes_between_the_door_and_the_moment_of_a_request_opens_nothing(mine):
    secret, _ = Keys(mine).add("ann"), Keys(mine).add("bob")
    with served.served(folder=mine) as what:
        what.door, moment = Door(Keys(mine)), what.moment

        def forgotten():
            forget(mine, ["ann"])
            return moment()

        what.moment = forgotten
        body, headers = {"text": TOLD, "store": True}, {"Authorization": f"Bearer {secret}"}
        assert posted(what, "/memory/facts", body, headers, lambda: None)[0] == 401
        assert traces(mine, [TOLD]) == set()
