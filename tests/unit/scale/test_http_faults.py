"""Engines over HTTP that do everything wrong: asked again, or FAILED with the reason; never trained, and no hang."""

import json
import time

import numpy as np
import pytest

import fake_engine
import fleet
import strop
from fake_engine import FAULTS, FakeEngine, answering
from judge_server import floods, sends, serving
from strop.endpoint import attempts
from strop.scale.http_sampler import HttpSampler, most_bytes
from strop.scale.strop_server import StropServer
from strop.scale.weight_files import key_in
from strop.types import Completion, End, Stopped, Unanswered, Unscored

SAMPLING = strop.Sampling(max_tokens=2)
SAID = {
    "500": "HTTP 500",
    "429": "HTTP 429",
    "reset": "no connection",
    "dropped": "the connection broke",
    "never": "no whole reply within 1.5 seconds",
    "twice": "no whole JSON",
    "two choices": "2 answers, and one was asked for",
    "no choice": "0 answers",
    "truncated": "no whole JSON",
    "a list": "no completion",
    "other weights": "an answer of the weights '000",
    "other prompt": "an answer to another prompt",
    "one log-prob less": "log-probs of",
    "one token more": "tokens",
    "no log-probs": "no log-probs of",
    "NaN": "a log-prob of nan",
    "infinite": "a log-prob of -inf",
    "positive": "a log-prob of 0.5",
    "null": "a log-prob of None",
    "unknown token": "which are numbers from 0 to",
    "no tokens": "0 tokens, and at least 1",
    "miscounted": "where usage counts 99",
    "cut too early": "tokens",
    "digits": "a log-prob of -1000",
    "goes on": "tokens that go on behind one that ends a completion",
    "too long": "a reply of more than 10,",
    "wrong end": "finish_reason 'content_filter'",
}
"""Of each fault's reason."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_SECONDS", 0.01)


def engine_of(url, folder, **fields):
    usual = {"request_seconds": 20.0, "total_seconds": 60.0, "attempts": 2}
    return strop.scale.Http(url=url, weights=str(folder), **{**usual, **fields})


def asked(engine, server, number=3, **fields):
    """So many completions of one prompt, with weights that were published before."""
    sampler = HttpSampler(StropServer(engine_of(server.url, engine.folder, **fields), engine.codec))
    policy, _ = fleet.config().policy.build(seed=0, dtype="float32", device="cpu")
    sampler.publish(policy)
    prompts = [engine.codec.start("red")] * number
    return sampler, sampler.sample(prompts, SAMPLING, [np.random.default_rng(i) for i in range(number)])


def patience(fault):
    """Little where no answer comes, else more than a busy machine needs."""
    return {"request_seconds": 1.5} if fault == "never" else {}


def right(engine, number):
    """What the engine would have said to so many prompts, by their seeds."""
    seeds = [int(np.random.default_rng(i).integers(2**63)) for i in range(number)]
    body = {"temperature": 1.0, "max_tokens": 2, "prompt": list(engine.codec.start("red"))}
    return [engine.answer({**body, "seed": seed})["choices"][0] for seed in seeds]


def test_every_fault_has_words():
    assert SAID.keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"other weights"}))
def test_a_fault_that_passes_is_asked_again_for_the_same_answer(tmp_path, fault):
    seen = set()

    def first_time(body):
        is_new = body["seed"] not in seen
        seen.add(body["seed"])
        return fault if is_new else ""

    engine = FakeEngine(fleet.config(), tmp_path, first_time)
    with answering(engine) as server:
        sampler, found = asked(engine, server, **patience(fault))
    assert [one.tokens for one in found] == [tuple(one["token_ids"]) for one in right(engine, 3)]
    assert [list(one.logprobs) for one in found] == [one["logprobs"]["token_logprobs"] for one in right(engine, 3)]
    assert len(sampler.failures) == 3
    assert all(SAID[fault] in one for one in sampler.failures)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_that_stays_is_told_and_leaves_the_others(tmp_path, fault):
    worst = int(np.random.default_rng(1).integers(2**63))
    engine = FakeEngine(fleet.config(), tmp_path, lambda body: fault if body["seed"] == worst else "")
    began = time.monotonic()
    with answering(engine) as server:
        sampler, (first, lost, last) = asked(engine, server, **patience(fault))
    assert time.monotonic() - began < 30.0
    assert isinstance(first, Completion)
    assert isinstance(last, Completion)
    assert isinstance(lost, Unanswered)
    assert SAID[fault] in lost.reason
    assert f"the engine at {server.url}" in lost.reason
    assert len(sampler.failures) == (1 if fault == "other weights" else 2)  # other weights stay other weights


def test_the_bytes_of_the_longest_answer_are_enough_for_it(tmp_path):
    """A step of 100,000 tokens, as strop serve writes them: the most digits, and a text of a few bytes each."""
    tokens = 100_000
    choice = {
        "prompt_token_ids": [2**31 - 1] * tokens,
        "token_ids": [2**31 - 1] * tokens,
        "text": "\\u0000" * tokens,
        "logprobs": {
            "tokens": ["\\u0000\\u0000\\u0000\\u0000"] * tokens,
            "token_logprobs": [-1.2345678901234567e-10] * tokens,
            "text_offset": list(range(tokens)),
        },
    }
    assert 1_000_000 < len(json.dumps(choice)) < most_bytes(tokens, tokens)


def test_a_proxy_of_the_environment_reads_neither_key_nor_prompt(tmp_path, monkeypatch):
    with serving(sends(b"{}", status=502)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        engine = FakeEngine(fleet.config(), tmp_path)
        with answering(engine) as server:
            _, found = asked(engine, server)
    assert all(isinstance(one, Completion) for one in found)
    assert proxy.seen == []


def test_why_weights_were_not_loaded_is_short_and_holds_no_key(tmp_path):
    def tells_all(server, handler, body):
        told = json.dumps({"error": {"message": f"{handler.headers['Authorization']} no {'x ' * 9000}"}})
        sends(told.encode(), status=422)(server, handler, body)

    engine = FakeEngine(fleet.config(), tmp_path)
    with serving(tells_all) as server, pytest.raises(Stopped, match=r"Bearer \*\*\* no") as raised:
        asked(engine, server)
    assert key_in(tmp_path) not in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_an_endless_answer_to_weights_is_not_read(tmp_path):
    engine = FakeEngine(fleet.config(), tmp_path)
    with serving(floods) as server, pytest.raises(Stopped, match="a reply of more than 1,000,000 bytes"):
        asked(engine, server)


def test_an_answer_behind_an_answer_never_answers_the_next_request(tmp_path):
    """Two whole responses on one connection: the second one must not be taken for what was asked next."""

    def twice(server, handler, body, answer):
        data = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        handler.wfile.write((head + data) * 2)
        handler.close_connection = False

    engine = FakeEngine(fleet.config(), tmp_path, lambda body: "")

    def act(server, handler, body):
        handler.protocol_version = "HTTP/1.1"
        if handler.path.endswith("/weights"):
            engine.act(server, handler, body)
        else:
            twice(server, handler, body, engine.answer(body))

    with serving(act) as server:
        _, found = asked(engine, server, number=4, at_once=1)
    assert [one.tokens for one in found] == [tuple(one["token_ids"]) for one in right(engine, 4)]


def test_all_completions_of_a_turn_end_with_the_total_time(tmp_path):
    engine = FakeEngine(fleet.config(), tmp_path, lambda body: "never")
    began = time.monotonic()
    with answering(engine) as server:
        _, found = asked(engine, server, number=6, request_seconds=60.0, total_seconds=0.4, at_once=2)
    assert time.monotonic() - began < 10.0
    assert all("nothing within total_seconds=0.4" in one.reason for one in found)


# ------------------------------------------------------------ runs


def trained(tmp_path, faulty, steps=2, **fields):
    config = fleet.config(steps=steps, checkpoint_every=1)
    engine = FakeEngine(config, tmp_path / "weights", faulty)
    with answering(engine) as server:
        http = engine_of(server.url, engine.folder, **{"request_seconds": 20.0, **fields})
        run = strop.train(fleet.config(steps=steps, engine=http), tmp_path / "run", progress=False)
    return run, engine


def test_a_run_goes_on_beside_answers_that_never_come_right_and_learns_from_none_of_them(tmp_path):
    bad = [name for name in sorted(FAULTS) if name not in ("never", "other weights")]
    run, engine = trained(tmp_path, lambda body: bad[body["seed"] % 97 % len(bad)] if body["seed"] % 7 == 0 else "")
    episodes = run.episodes()
    lost = [one for one in episodes if one.end is End.FAILED]
    assert 0 < len(lost) < len(episodes) == 2 * 3 * 4
    assert all(one.turns == () and isinstance(one.reward, Unscored) and "the engine at" in one.error for one in lost)
    said = {(tuple(c["token_ids"]), tuple(c["logprobs"]["token_logprobs"])) for c in choices_of(engine)}
    kept = [one for one in episodes if one.end is not End.FAILED]
    assert all((one.turns[0].completion.tokens, one.turns[0].completion.logprobs) in said for one in kept)
    first, last = run.metrics()
    assert first["engine/failed_attempts"] + last["engine/failed_attempts"] == 2 * len(lost)
    with run.directory.reader() as store:
        told = [event.text for event in store.events() if "came to nothing" in event.text]
    assert told


def choices_of(engine):
    return [answer["choices"][0] for answer in engine.answers]


def test_a_server_that_is_started_again_costs_the_rest_of_a_step(tmp_path):
    """It has its own weights then, until the next step's are published."""
    asked = []
    run, _ = trained(tmp_path, lambda body: "other weights" if 6 < (asked.append(1) or len(asked)) <= 12 else "")
    lost = [one.version for one in run.episodes() if one.end is End.FAILED]
    assert lost == [0] * 6
    assert len(asked) == 2 * 3 * 4  # answers of other weights are not asked for again


def test_a_server_without_a_right_answer_stops_the_run_with_the_reason(tmp_path):
    with pytest.raises(Stopped, match=r"None of the 12 episodes of step 0 could be scored: the engine at .*HTTP 500"):
        trained(tmp_path, lambda body: "500", steps=9)


def test_a_server_that_says_it_has_the_weights_and_has_not_is_found_out_by_its_log_probs(tmp_path, monkeypatch):
    """It names their hash, and samples with weights of its own, of another seed."""

    def of_another_seed():
        return fleet.config().policy.build(seed=99, dtype="float32", device="cpu")[0].state_dict()

    monkeypatch.setattr(fake_engine, "read", lambda folder, sha256: of_another_seed())
    with pytest.raises(Stopped, match=r"The sampler's and the trainer's log-probs of the same tokens differ"):
        trained(tmp_path, lambda body: "")


def test_a_server_that_is_gone_stops_the_run_and_says_what_to_start(tmp_path):
    engine = FakeEngine(fleet.config(), tmp_path / "weights")
    with answering(engine) as server:
        http = engine_of(server.url, engine.folder)
    with pytest.raises(Stopped, match=r"did not load weights from .*no connection.*strop serve RUN --weights"):
        strop.train(fleet.config(engine=http), tmp_path / "run", progress=False)


def test_a_server_that_was_never_started_is_named(tmp_path):
    config = fleet.config(engine=strop.scale.Http(weights=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match=r"no server loads weights from there .*strop serve RUN --weights"):
        strop.train(config, tmp_path / "run", progress=False)


def test_a_run_that_is_resumed_learns_what_one_that_went_on_learns(tmp_path):
    config = fleet.config(steps=2, checkpoint_every=1)
    engine = FakeEngine(config, tmp_path / "weights")
    with answering(engine) as server:
        http = engine_of(server.url, engine.folder, request_seconds=20.0)
        whole = fleet.config(steps=2, checkpoint_every=1, engine=http)
        strop.train(whole, tmp_path / "whole", progress=False)
        strop.train(fleet.config(steps=1, checkpoint_every=1, engine=http), tmp_path / "parts", progress=False)
        strop.train(whole, tmp_path / "parts", resume=True, progress=False)
    fleet.assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
