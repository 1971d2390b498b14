"""A judge asked over HTTP: what a server does wrong is waited out, tried again or given up, and always said."""

import json
import time

import pytest

from judge_server import (
    completion,
    drips,
    drips_headers,
    drops,
    floods,
    judged,
    says,
    sends,
    serving,
    stalls,
)
from strop.endpoint import attempts
from strop.endpoint.request import retry_after
from strop.rewards import Budget, Judge, Patience
from strop.types import Unscored

SECRET = "sk-0123456789-secret"
QUICK = Patience(request_seconds=0.3, total_seconds=20.0, attempts=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    monkeypatch.setenv("STROP_HOME", str(tmp_path))
    monkeypatch.setattr(attempts, "FIRST_SECONDS", 0.01)


def judge_of(server, **fields):
    return Judge(**{"url": server.url, "model": "m", "patience": QUICK, **fields})


def question(text="Which?"):
    return [{"role": "user", "content": text}]


def number(reply):
    return float(reply)


def ask(server, *questions, read=number, **fields):
    return judge_of(server, **fields)([question(text) for text in questions or ("Which?",)], read)


def reason(found):
    assert isinstance(found, Unscored)
    return found.reason


def test_a_question_is_sent_as_the_judge_is_set_and_its_reply_is_read():
    with serving(says("4")) as server:
        assert ask(server, settings={"temperature": 0.5, "top_k": 1}) == [4.0]
    assert server.seen == [
        {"model": "m", "messages": [{"role": "user", "content": "Which?"}], "temperature": 0.5, "top_k": 1}
    ]


def test_replies_come_in_the_order_of_the_questions():
    def echo(server, handler, body):
        time.sleep(0.05 if body["messages"][0]["content"] == "1" else 0.0)
        says(body["messages"][0]["content"])(server, handler, body)

    with serving(echo) as server:
        assert ask(server, "1", "2", "3") == [1.0, 2.0, 3.0]


# ------------------------------------------------------------ the file of replies


def test_the_same_question_is_asked_once_in_a_call_and_never_again():
    with serving(says("4")) as server:
        assert ask(server, "a", "a", "b") == [4.0] * 3
        assert len(server.seen) == 2
        assert ask(server, "b", "a") == [4.0] * 2
        assert len(server.seen) == 2


@pytest.mark.parametrize("other", [{"model": "n"}, {"settings": {"temperature": 1.0}}, {"cache": "other.sqlite"}])
def test_another_model_setting_or_file_is_another_question(other, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with serving(says("4")) as server:
        ask(server)
        ask(server, **other)
        assert len(server.seen) == 2


def test_a_kept_reply_needs_no_server():
    with serving(says("4")) as server:
        ask(server)
        judge = judge_of(server)
    assert judge([question()], number) == [4.0]
    assert "no connection" in reason(judge([question("new")], number)[0])


def test_a_reply_that_cannot_be_read_is_not_kept():
    with serving(says("four"), says("five"), says("6")) as server:
        assert "cannot be read" in reason(ask(server)[0])
        assert ask(server) == [6.0]


def test_a_file_that_is_no_database_is_named(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)
    with serving(says("4")) as server, pytest.raises(ValueError, match=r"Judge\.cache: .*notes\.txt"):
        ask(server, cache=str(file))
    assert server.seen == []


# ------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (stalls, "no whole reply within 0.3 seconds|no connection"),
        (drips, "no whole reply within 0.3 seconds"),
        (drips_headers, "no whole reply within 0.3 seconds"),
        (drops, "the connection broke"),
        (floods, "a reply of more than 1,000,000 bytes"),
        (sends(b'{"choices": [{"mess'), "no chat completion"),
        (sends(b"<html>busy</html>", kind="text/html"), "no chat completion"),
        (sends(b'{"choices": []}'), "no chat completion"),
        (sends(b'{"choices": null}'), "no chat completion"),
        (sends(b"[" * 5_000), "no chat completion"),
        (sends(b'{"choices": [{"message": {"content": null}}]}'), "content is no text"),
        (sends(b"{}", status=500), "HTTP 500"),
        (sends(b"{}", status=429), "HTTP 429"),
        (says("I think that A is better."), "cannot be read"),
    ],
)
def test_a_fault_is_tried_again_and_then_unscored_with_its_reason(fault, said):
    with serving(fault, says("4")) as server:
        assert ask(server) == [4.0]
        assert len(server.seen) == 2
    began = time.monotonic()
    with serving(fault) as server:
        (found,) = ask(server)
        assert len(server.seen) == 2
    assert any(one in reason(found) for one in said.split("|"))
    assert "(2 attempts)" in reason(found)
    assert f"the judge m at {server.url}" in reason(found)
    assert time.monotonic() - began < 10.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_would_fail_again_is_not_tried_again(status):
    with serving(sends(b'{"error": {"message": "no such model"}}', status=status)) as server:
        assert f"HTTP {status}" in reason(ask(server)[0])
        assert "no such model" in reason(ask(server)[0])
    assert len(server.seen) == 2  # one for each call


def test_a_refused_connection_is_unscored():
    with serving(says("4")) as server:
        judge = judge_of(server)
    assert "no connection" in reason(judge([question()], number)[0])


def test_one_failure_leaves_the_other_questions():
    def act(server, handler, body):
        (sends(b"{}", status=400) if body["messages"][0]["content"] == "b" else says("4"))(server, handler, body)

    with serving(act) as server:
        first, second, third = ask(server, "a", "b", "c")
    assert (first, third) == (4.0, 4.0)
    assert "HTTP 400" in reason(second)


# ------------------------------------------------------------ time


def test_all_questions_together_end_with_the_total_time():
    patience = Patience(request_seconds=60.0, total_seconds=0.3, attempts=9, at_once=2)
    began = time.monotonic()
    with serving(stalls) as server:
        found = ask(server, *"abcdef", patience=patience)
    assert time.monotonic() - began < 10.0
    assert all("nothing within total_seconds=0.3" in reason(one) for one in found)
    assert len(server.seen) == 2


def test_no_more_requests_are_open_than_at_once():
    def slow(server, handler, body):
        time.sleep(0.02)
        says("4")(server, handler, body)

    with serving(slow) as server:
        ask(server, *"abcdefghij", patience=Patience(at_once=3))
    assert server.most_open == 3


def test_retry_after_is_respected():
    with serving(sends(b"{}", status=429, Retry_After="0.4"), says("4")) as server:
        began = time.monotonic()
        assert ask(server) == [4.0]
        assert time.monotonic() - began >= 0.4


def test_a_retry_after_beyond_the_total_time_ends_at_once():
    began = time.monotonic()
    with serving(sends(b"{}", status=429, Retry_After="3600")) as server:
        assert "the next attempt would be too late" in reason(ask(server)[0])
    assert time.monotonic() - began < 10.0
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sun, 06 Nov 1994 08:48:37 GMT", 0.0),  # gone
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("nan", 0.0),
        ("inf", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after(header, now=784111740.0) == seconds  # 08:49:00 of that day


def test_waits_double_up_to_a_bound_and_half_of_each_is_drawn(monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_SECONDS", 0.5)
    for failures, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 20.0), (2_000, 20.0)):
        waits = [attempts.backoff_seconds(failures) for _ in range(200)]
        assert longest / 2 <= min(waits) < longest * 0.6
        assert longest * 0.9 < max(waits) <= longest


# ------------------------------------------------------------ the budget


def test_a_spent_budget_is_unscored_and_kept_replies_are_free():
    budget = Budget(requests=2)
    with serving(says("4")) as server:
        assert ask(server, "a", "b", budget=budget) == [4.0, 4.0]
        kept, new = ask(server, "a", "c", budget=budget)
        assert kept == 4.0
        assert "the budget is spent: 2 requests" in reason(new)
        assert len(server.seen) == 2
        assert ask(server, "c", budget=Budget(requests=3)) == [4.0]  # the same file: it had 2


def test_every_attempt_counts():
    with serving(sends(b"{}", status=500)) as server:
        judge = judge_of(server, patience=Patience(attempts=5), budget=Budget(requests=3))
        assert "the budget is spent" in reason(judge([question()], number)[0])
        assert len(server.seen) == 3
        assert judge.spent().requests == 3


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"total_tokens": 70}, 70),
        ({"total_tokens": -5}, None),
        ({"total_tokens": "70"}, None),
        ({"total_tokens": True}, None),
        ({}, None),
    ],
)
def test_tokens_are_the_servers_or_else_bytes(usage, counted):
    with serving(says("4", **usage)) as server:
        judge = judge_of(server, budget=Budget(requests=None, tokens=60))
        judge([question()], number)
        spent = judge.spent().tokens
        received = len(completion("4", **usage))
        assert spent == counted if counted else spent > received
        assert "the budget is spent" in reason(judge([question("b")], number)[0])


def test_an_empty_budget_asks_nothing():
    with serving(says("4")) as server:
        assert "Budget(requests=0" in reason(ask(server, budget=Budget(requests=0))[0])
    assert server.seen == []


# ------------------------------------------------------------ the key


def test_the_key_comes_from_the_environment_or_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_KEY", SECRET)
    (tmp_path / "key").write_text(f"{SECRET}\n")
    with serving(says("4")) as server:
        ask(server, "a", key_env="MY_KEY")
        ask(server, "b", key_file=str(tmp_path / "key"))
        ask(server, "c")
    assert server.keys == [f"Bearer {SECRET}"] * 2 + ["Bearer none"]


def test_the_key_is_nowhere_but_in_the_request(monkeypatch, tmp_path, logged, capfd):
    from strop.runs.spec import encode

    monkeypatch.setenv("MY_KEY", SECRET)
    body = json.dumps({"error": {"message": f"the key {SECRET} is wrong"}}).encode()
    with serving(sends(body, status=401), says(f"no {SECRET}"), says(f"no {SECRET}"), says("4")) as server:
        judge = judge_of(server, key_env="MY_KEY")
        told = [reason(judge([question(text)], number)[0]) for text in "ab"]
        judge([question("c")], number)
    assert all("***" in one and SECRET not in one for one in told)
    assert SECRET not in json.dumps(encode(judge)) + repr(judge) + "".join([*logged, *capfd.readouterr()])
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
        ({"key_file": "no/such/file"}, "no/such/file"),
    ],
)
def test_a_missing_key_is_an_error_that_names_its_place(fields, said):
    with serving(says("4")) as server, pytest.raises(ValueError, match=said):
        ask(server, **fields)
    assert server.seen == []


# ------------------------------------------------------------ its fields


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "localhost:8000"}, "http://"),
        ({"url": f"http://me:{SECRET}@host/v1"}, "without a user"),
        ({"url": f"http://host/v1?key={SECRET}"}, "without a user"),
        ({"model": " "}, "model"),
        ({"key_env": "A", "key_file": "b"}, "not both"),
        ({"settings": {"messages": []}}, "messages"),
        ({"settings": {"temperature": float("nan")}}, "JSON"),
        ({"settings": {"stream": True}}, "stream"),
    ],
)
def test_a_wrong_field_is_refused_and_tells_no_secret(fields, said):
    with pytest.raises(ValueError, match=said) as error:
        Judge(**{"url": "http://host/v1", "model": "m", **fields})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Patience(request_seconds=0.0),
        lambda: Patience(total_seconds=float("inf")),
        lambda: Patience(attempts=0),
        lambda: Patience(at_once=0),
        lambda: Budget(requests=-1),
        lambda: Budget(tokens=1.5),
    ],
)
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match=r"Patience|Budget"):
        make()


def test_it_can_be_written_into_a_run_and_made_again(tmp_path):
    from strop.runs.spec import decode, encode

    judge = Judge(url="http://host/v1", model="m", key_env="K", budget=Budget(tokens=9), patience=QUICK)
    assert decode(json.loads(json.dumps(encode(judge))), tmp_path) == judge


def test_the_dice_of_the_waits_are_not_the_runs():
    import random

    random.seed(3)
    before = random.getstate()
    with serving(sends(b"{}", status=500), judged(lambda a, b: "A")) as server:
        judge_of(server)([question("<answer A 1>\nx\n</answer A 1>\n<answer B 1>\ny\n</answer B 1>")], len)
    assert random.getstate() == before


def test_a_run_whose_judge_stalls_stops_and_says_why(tmp_path):
    import strop
    from strop.runs.progress import Progress
    from strop.types import Stopped

    patience = Patience(request_seconds=0.2, total_seconds=0.4, attempts=2)
    with serving(stalls) as server:
        judge = judge_of(server, patience=patience)
        config = strop.TrainConfig(
            policy=strop.policies.Table.Config(words=["a", "b"], has_end=True),
            tasks=[strop.Task("t", "a")],
            rewards=[strop.rewards.GroupReward(strop.rewards.Rubric(judge, {"good": "It is good."}))],
            algorithm=strop.algorithms.REINFORCE.Config(),
            sampling=strop.Sampling(max_tokens=1),
            group_size=2,
            prompts_per_step=2,
            steps=9,
            threads=1,
        )
        with pytest.raises(Stopped, match=r"the judge m at .*(no whole reply|nothing within)"):
            strop.train(config, tmp_path / "run", progress=Progress.silent())
