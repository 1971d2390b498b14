"""What a page elsewhere, a slow client or a large body meets before the app."""

import asyncio
import json

import pytest
from fastapi.testclient import TestClient

import served
from strop.endpoint.address import is_loopback
from strop.web.app import app
from strop.web.guard import Limits

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def what():
    with served.served(limits=Limits(body_bytes=500, body_seconds=0.2)) as found:
        yield found


@pytest.fixture
def web(what):
    return TestClient(app(what), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000", "127.0.0.9"])
def test_a_name_of_this_machine_is_served(web, host):
    assert web.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "[", "", "127.1"]
)
def test_another_name_is_not(web, host):
    """A page of evil.example, whose name points at 127.0.0.1, sends its own name."""
    answer = web.get("/health", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "wrong_host")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "https://127.0.0.1:8000"])
def test_a_page_of_another_origin_is_refused_and_never_allowed_to_read(web, origin):
    answer = web.post("/v1/chat/completions", json=CHAT, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_origin")
    asked = web.options("/v1/chat/completions", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert asked.status_code == 403
    assert not [name for name in asked.headers if name.startswith("access-control")]


def test_its_own_pages_are_served(web):
    assert web.post("/v1/chat/completions", json=CHAT, headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_a_foreign_form_could_send_is_refused(web, kind):
    answer = web.post("/v1/chat/completions", content=json.dumps(CHAT), headers={"Content-Type": kind})
    assert answer.status_code == 415


def test_a_large_body_is_refused_also_where_its_length_is_not_told(web):
    assert web.post("/feedback", content=b" " * 501, headers={"Content-Type": "application/json"}).status_code == 413
    parts = (b" " * 100 for _ in range(6))
    assert web.post("/feedback", content=parts, headers={"Content-Type": "application/json"}).status_code == 413


def test_a_body_that_does_not_arrive_is_given_up(what):
    """The client says that it sends 100 bytes, sends one, and nothing more."""
    came = []

    async def receive():
        if came:
            await asyncio.Event().wait()
        came.append(True)
        return {"type": "http.request", "body": b"{", "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/feedback", "headers": headers, "query_string": b""}
    asyncio.run(app(what)(scope, receive, send))
    assert sent[0]["status"] == 408
    assert b"did not arrive within 0.2 s" in sent[1]["body"]


@pytest.mark.parametrize("path", ["/", "/health", "/nowhere", "/static/chat.js", "/v1/models"])
def test_every_answer_has_the_headers_that_bind_a_browser(web, path):
    headers = web.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_loopback_is_told_from_other_addresses():
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.9.9.9", "::1"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "192.168.0.1", "example.org", "localhost.", "127.0.0.1 "]))
