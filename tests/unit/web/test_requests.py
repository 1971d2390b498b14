"""What is refused, and in which words: a field is served, changes nothing, or is an error in OpenAI's form."""

import math

import pytest
from fastapi.testclient import TestClient

import served
from strop.web.app import app

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def web():
    with served.served() as what:
        yield TestClient(app(what), base_url="http://localhost")


def refused(web, path, body):
    answer = web.post(path, json=body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error["param"], error["message"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("top_k", 4, "the field 'top_k' is not served"),
        ("logit_bias", {"5": 1}, "is not served: leave it out or give {}"),
        ("top_logprobs", 2, "top_logprobs needs logprobs=true"),
        ("top_logprobs", 21, "less than or equal to 20"),
        ("response_format", {"type": "json_object"}, "is not served"),
        ("tools", [{"type": "function"}], "is not served"),
        ("temperature", 2.5, "less than or equal to 2"),
        ("temperature", "1", "valid number"),
        ("top_p", 0, "greater than 0"),
        ("n", 17, "less than or equal to 16"),
        ("n", True, "valid integer"),
        ("max_tokens", 0, "greater than or equal to 1"),
        ("seed", 2**63, "less than"),
        ("stream", "yes", "valid boolean"),
        ("stop", ["a"] * 5, "at most 4"),
        ("stop", "", "at least 1"),
        ("messages", [], "at least 1"),
        ("messages", [{"role": "user", "content": "hello", "name": "Ann"}], "'name' is not served"),
        ("messages", [{"role": "tool", "content": "hello"}], "'system', 'developer', 'user' or 'assistant'"),
        ("messages", [{"role": "assistant", "content": "hello"}], "there is nothing to answer"),
        ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}], "not served"),
        ("metadata", {"topic": "x"}, "'topic' is not served"),
        ("stream_options", {"include_usage": True}, "needs stream=true"),
    ],
)
def test_a_chat_refuses(web, field, value, says):
    param, message = refused(web, "/v1/chat/completions", CHAT | {field: value})
    assert says in message
    assert field in message or param is not None


def test_two_limits_are_one_too_many(web):
    body = CHAT | {"max_tokens": 3, "max_completion_tokens": 3}
    assert refused(web, "/v1/chat/completions", body)[0] == "max_tokens"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("echo", True, "echo=True is not served: leave it out or give False"),
        ("logprobs", 1, "less than or equal to 0"),
        ("best_of", 2, "is not served"),
        ("prompt", "", "an empty prompt has nothing to continue"),
        ("prompt", "unheard", "not in the vocabulary"),
        ("prompt", [], "at least 1"),
        ("prompt", [1, "hello"], "valid string"),
        ("prompt", [1, 20], "the token id 20 is none of this model's"),
        ("prompt", ["hello"] * 17, "at most 16"),
    ],
)
def test_a_completion_refuses(web, field, value, says):
    body = {"model": "tiny", "prompt": "hello"} | {field: value}
    assert says in refused(web, "/v1/completions", body)[1]


def test_what_changes_nothing_is_taken(web):
    neutral = {"presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}, "tools": [], "top_logprobs": 0}
    nothing = {"stop": None, "seed": None, "logprobs": None, "response_format": {"type": "text"}, "top_k": None}
    assert web.post("/v1/chat/completions", json=CHAT | neutral | nothing).status_code == 200


@pytest.mark.parametrize(
    "raw",
    ["", "{", "[]", "3", '"text"', "[" * 100_000, '{"model": "tiny", "messages": [{"role": "user", "content": NaN}]}'],
)
def test_a_body_that_is_no_request_is_an_error_in_the_same_form(web, raw):
    answer = web.post("/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


def test_a_number_that_is_none_is_refused(web):
    raw = '{"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "temperature": NaN}'
    answer = web.post("/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_other_paths_and_methods_are_errors_in_the_same_form(web):
    for method, path, status in (("GET", "/nowhere", 404), ("GET", "/v1/chat/completions", 405), ("GET", "/docs", 404)):
        answer = web.request(method, path)
        assert (answer.status_code, answer.json()["error"]["message"].startswith(f"{method} {path}")) == (status, True)


def test_the_messages_are_read_as_training_writes_them(web):
    """A single message of the user is its text; more are messages, which a table joins by spaces."""
    from strop.web.requests import ChatRequest

    def prompt(*messages):
        return ChatRequest(
            model="tiny", messages=[{"role": role, "content": content} for role, content in messages]
        ).prompt

    assert prompt(("user", "hello")) == "hello"
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    assert prompt(("user", parts)) == "hello"
    assert prompt(("developer", "be kind"), ("user", "hello")) == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hello"},
    ]


def test_a_limit_that_nobody_asked_for_yields_to_the_context_and_one_that_was_is_refused():
    with served.served(served.actor(has_end=False, max_tokens=50, context=10)) as what:
        web = TestClient(app(what), base_url="http://localhost")
        asked = CHAT | {"messages": [{"role": "user", "content": "good day to you"}]}
        assert web.post("/v1/chat/completions", json=asked).json()["usage"]["completion_tokens"] == 6
        assert web.post("/v1/chat/completions", json=asked | {"max_tokens": 6}).status_code == 200
        error = web.post("/v1/chat/completions", json=asked | {"max_tokens": 7}).json()["error"]
        assert (error["code"], error["param"]) == ("context_length_exceeded", "max_tokens")
        assert "ask for at most 6 tokens" in error["message"]
        long = CHAT | {"messages": [{"role": "user", "content": "day " * 10}]}
        assert web.post("/v1/chat/completions", json=long).json()["error"]["code"] == "context_length_exceeded"


def test_temperature_and_top_p_reach_the_policy(web):
    """Of nine equal tokens top_p=.3 keeps three, so each has the log-prob -ln 3."""
    asked = CHAT | {"logprobs": True, "seed": 5, "top_p": 0.3}
    tokens = web.post("/v1/chat/completions", json=asked).json()["choices"][0]["logprobs"]["content"]
    assert {round(token["logprob"], 6) for token in tokens} == {round(-math.log(3), 6)}
