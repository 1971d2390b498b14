"""Answers that nobody waits for, that take too long, or that fail: rows are freed, and the reason is told."""

import asyncio
import dataclasses
import json

import pytest
from fastapi.testclient import TestClient

import served
from strop.web.app import app
from strop.web.guard import Limits

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def endless():
    return served.actor(has_end=False, max_tokens=1_000_000)


def web_of(what):
    return TestClient(app(what), base_url="http://localhost", raise_server_exceptions=False)


def events(answer):
    return [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]


def test_an_answer_that_takes_too_long_ends_with_the_time_that_it_had(endless):
    with served.served(endless, limits=Limits(answer_seconds=0.2)) as what:
        whole = web_of(what).post("/v1/chat/completions", json=CHAT)
        assert (whole.status_code, whole.json()["error"]["code"]) == (504, "timeout")
        assert "longer than 0.2 s" in whole.json()["error"]["message"]
        streamed = events(web_of(what).post("/v1/chat/completions", json=CHAT | {"stream": True}))
        assert json.loads(streamed[-1])["error"]["code"] == "timeout"
        assert len(streamed) > 2
        assert is_idle(what)


def is_idle(what):
    """Whether its rows are free; a cancelled one leaves at the next token."""
    for _ in range(500):
        if what.engine.health.running == what.engine.health.waiting == 0:
            return True
        asyncio.run(asyncio.sleep(0.01))
    return False


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_its_row(endless, stream):
    left = asyncio.Event()

    async def talk(what):
        body = [json.dumps(CHAT | {"stream": stream, "n": 2}).encode()]

        async def receive():
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message.get("body"):
                left.set()

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
        asked = asyncio.create_task(app(what)(scope | {"query_string": b"", "asgi": {"version": "3.0"}}, receive, send))
        if not stream:
            while what.engine.health.running < 2:
                await asyncio.sleep(0.01)
            left.set()
        await asyncio.wait_for(asked, 20)

    with served.served(endless) as what:
        asyncio.run(talk(what))
        assert is_idle(what)


def test_where_one_of_several_cannot_begin_none_does(endless):
    with served.served(endless, waiting=1, batch=1) as what:
        answer = web_of(what).post("/v1/chat/completions", json=CHAT | {"n": 4})
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert is_idle(what)


def test_a_failing_policy_is_told_and_shown_by_health():
    class Broken:
        """A policy whose decoder fails at the second token."""

        def __init__(self, policy):
            self.policy = policy

        def __getattr__(self, name):
            return getattr(self.policy, name)

        def decode(self, state, tokens_B):
            raise RuntimeError("no electricity")

    actor = served.actor(has_end=False)
    with served.served(dataclasses.replace(actor, policy=Broken(actor.policy))) as what:
        web = web_of(what)
        assert web.get("/health").json()["status"] == "ok"
        whole = web.post("/v1/chat/completions", json=CHAT)
        assert whole.status_code == 500
        assert "no electricity" in whole.json()["error"]["message"]
        streamed = events(web.post("/v1/chat/completions", json=CHAT | {"stream": True}))
        assert "no electricity" in json.loads(streamed[-1])["error"]["message"]
        health = web.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "failing")
        assert "no electricity" in health.json()["error"]


def test_a_closed_engine_says_so():
    with served.served() as what:
        what.engine.close(timeout=5.0)
        answer = web_of(what).post("/v1/chat/completions", json=CHAT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
        assert web_of(what).get("/health").json()["status"] == "stopping"


def test_one_of_a_few_choices_is_answered_whole():
    actor = served.actor(max_tokens=3)
    sampling = dataclasses.replace(actor.sampling, choices=("good day", "bad day"))
    with served.served(dataclasses.replace(actor, sampling=sampling)) as what:
        answers = web_of(what).post("/v1/chat/completions", json=CHAT | {"n": 8, "seed": 0}).json()["choices"]
        assert {one["message"]["content"] for one in answers} == {"good day", "bad day"}
        assert {one["finish_reason"] for one in answers} == {"stop"}


def test_what_the_policy_writes_is_escaped_for_the_stream():
    """A line separator in an answer must not end an event."""
    actor = served.actor(words=["a", "x\u2028y", "<b>"], has_end=False, max_tokens=8)
    with served.served(actor) as what:
        asked = CHAT | {"messages": [{"role": "user", "content": "a"}], "seed": 1}
        whole = web_of(what).post("/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"]
        lines = web_of(what).post("/v1/chat/completions", json=asked | {"stream": True}).text.splitlines()
        chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]
        assert "\u2028" in whole
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == whole
