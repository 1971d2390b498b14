"""Weights that a learner publishes to a server, and the token ids with which it asks there."""

import math
import threading

import pytest
import torch
from fastapi.testclient import TestClient

import served
import strop
from strop.scale.weight_files import key_in, write
from strop.serving.actor import Actor
from strop.serving.ask import Ask
from strop.web.app import app
from strop.web.guard import Limits
from strop.web.weights import Weights

ASKED = {"model": "tiny", "prompt": [0, 1], "max_tokens": 4, "logprobs": 0, "return_token_ids": True, "seed": 3}


def leaning(token):
    """A policy of the kind that is served, which says this token after anything, almost surely."""
    policy = served.actor().policy
    with torch.no_grad():
        for prompt in [(0, 1, *[token] * said) for said in range(4)]:
            policy.weight[policy.row(prompt), token] = 20.0
    return policy


@pytest.fixture
def learning(tmp_path):
    """A server to which weights are published, and its folder."""
    with served.served() as what:
        what.weights = Weights(what, tmp_path, served.actor)
        yield TestClient(app(what), base_url="http://localhost"), tmp_path, what
        what.engine.close(timeout=5.0)


def post(web, folder, sha256, key=None):
    headers = {"Authorization": f"Bearer {key_in(folder) if key is None else key}"}
    return web.post("/v1/weights", json={"sha256": sha256}, headers=headers)


def ask(web, **changed):
    return web.post("/v1/completions", json=ASKED | changed)


def test_token_ids_come_back_with_the_log_probs_of_all_of_them(learning):
    web, *_ = learning
    (choice,) = ask(web).json()["choices"]
    assert choice["prompt_token_ids"] == [0, 1]
    assert 1 <= len(choice["token_ids"]) <= 4
    assert choice["logprobs"]["token_logprobs"] == pytest.approx([-math.log(9)] * len(choice["token_ids"]))


def test_a_token_that_ends_an_answer_has_its_id_and_its_log_prob(learning):
    """Among 40 answers of a uniform policy of 9 tokens, of which one ends."""
    web, *_ = learning
    choices = [ask(web, seed=seed).json()["choices"][0] for seed in range(40)]
    ended = [one for one in choices if one["finish_reason"] == "stop"]
    assert 0 < len(ended) < 40
    assert all(len(one["token_ids"]) == len(one["logprobs"]["token_logprobs"]) for one in choices)
    assert {one["token_ids"][-1] for one in ended} == {served.actor().codec.end}


def test_ids_and_text_are_the_same_prompt(learning):
    web, *_ = learning
    text = served.actor().codec.decode((0, 1))
    assert ask(web).json()["choices"][0]["text"] == ask(web, prompt=text).json()["choices"][0]["text"]
    several = ask(web, prompt=[[0, 1], [2]]).json()["choices"]
    assert [one["prompt_token_ids"] for one in several] == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"prompt": [9]}, "the token id 9 is none of this model's, which are 0 to 8"),
        ({"prompt": [0, -1]}, "greater than or equal to 0"),
        ({"prompt": [[]]}, "at least 1"),
        ({"stream": True}, "return_token_ids is for whole answers"),
    ],
)
def test_wrong_ids_are_refused(learning, changed, says):
    answer = ask(learning[0], **changed)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


def test_published_weights_answer_and_every_answer_says_which(learning):
    web, folder, what = learning
    assert ask(web).json()["version"] == "tiny"
    for token in (3, 5, 6):
        sha256 = write(folder, leaning(token))
        assert post(web, folder, sha256).json() == {"model": "tiny", "version": sha256}
        answer = ask(web)
        assert answer.json()["version"] == answer.headers["X-Strop-Version"] == sha256
        assert answer.json()["choices"][0]["token_ids"] == [token] * 4
    assert post(web, folder, sha256).json()["version"] == sha256  # twice is once
    assert what.serves.weights == sha256


def test_an_answer_that_runs_ends_on_the_weights_with_which_it_began(tmp_path):
    def make():
        return served.slow(served.actor(has_end=False, max_tokens=30), 0.01)

    with served.served(make()) as what:
        what.weights = Weights(what, tmp_path, make)
        web = TestClient(app(what), base_url="http://localhost")
        sha256 = write(tmp_path, served.actor(has_end=False).policy)
        found = []
        asking = threading.Thread(target=lambda: found.append(ask(web, max_tokens=30).json()))
        asking.start()
        while not what.engine.health.running:
            pass
        assert post(web, tmp_path, sha256).status_code == 200
        asking.join(timeout=10.0)
        assert found[0]["version"] == "tiny"
        assert len(found[0]["choices"][0]["token_ids"]) == 30
        assert ask(web).json()["version"] == sha256
        what.engine.close(timeout=5.0)


def test_an_answer_that_waits_is_never_said_to_be_of_weights_that_it_is_not_of(tmp_path):
    """One row: the second of two waits for the first, while weights are loaded that say 3 after anything."""

    def make():
        return served.slow(served.actor(max_tokens=4), 0.03)

    with served.served(make(), batch=1) as what:
        what.weights = Weights(what, tmp_path, make)
        web = TestClient(app(what), base_url="http://localhost", raise_server_exceptions=False)
        sha256, found = write(tmp_path, leaning(3)), []
        asking = [threading.Thread(target=lambda: found.append(ask(web))) for _ in range(2)]
        for one in asking:
            one.start()
        while not (what.engine.health.running and what.engine.health.waiting):
            pass
        assert post(web, tmp_path, sha256).status_code == 200
        for one in asking:
            one.join(timeout=10.0)
        what.engine.close(timeout=5.0)
    assert [one.status_code for one in found] == [200, 200]
    for one in (one.json() for one in found):
        assert one["version"] == "tiny"  # both were asked before
        (choice,) = one["choices"]
        uniform = choice["logprobs"]["token_logprobs"] == pytest.approx([-math.log(9)] * len(choice["token_ids"]))
        assert uniform == (one["version"] == "tiny")


def test_no_third_policy_is_made_while_two_answer(tmp_path):
    """An answer that cannot go on stands through two publishes: the second waits for its end, and is refused."""
    with served.served(served.actor(), limits=Limits(answer_seconds=0.2)) as what:
        what.weights = Weights(what, tmp_path, served.actor)
        web = TestClient(app(what), base_url="http://localhost")
        first, second, before = write(tmp_path, leaning(3)), write(tmp_path, leaning(5)), what.engine
        with before.actor.policy.lock.changing():
            answer = before.ask(Ask(prompt=(0, 1), sampling=strop.Sampling(max_tokens=4), seed=3))
            assert post(web, tmp_path, first).status_code == 200
            late = post(web, tmp_path, second)
            assert (late.status_code, what.serves.weights) == (503, first)
            assert "still answer" in late.json()["error"]["message"]
        assert before.has_ended_within(30.0)
        assert answer.finish in ("stop", "length")
        assert post(web, tmp_path, second).status_code == 200
        assert what.serves.actor is before.actor
        what.engine.close(timeout=5.0)


def test_without_the_key_nothing_is_loaded(learning):
    web, folder, what = learning
    sha256 = write(folder, leaning(3))
    for answer in (post(web, folder, sha256, key="guess"), web.post("/v1/weights", json={"sha256": sha256})):
        assert answer.status_code == 401
        assert key_in(folder) not in answer.text
    assert what.serves.weights == ""


@pytest.mark.parametrize("name", ["../../etc/passwd", "0" * 63, "Z" * 64, ""])
def test_only_a_hash_names_a_file(learning, name):
    web, folder, _ = learning
    assert post(web, folder, name).status_code == 400


def test_weights_that_are_damaged_or_of_another_policy_are_refused_and_the_others_go_on(learning):
    web, folder, what = learning
    good = write(folder, leaning(3))
    assert post(web, folder, good).status_code == 200
    damaged = write(folder, leaning(4))
    file = folder / f"{damaged}.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    other = write(folder, strop.policies.Table.Config(words=["a"]).build(0, "float32", "cpu")[0])
    for sha256, why in (
        (damaged, "are damaged"),
        (other, "these weights are not loaded"),
        ("0" * 64, "cannot be read"),
    ):
        answer = post(web, folder, sha256)
        assert answer.status_code == 422
        assert why in answer.json()["error"]["message"]
        assert ask(web).json()["version"] == good
        assert ask(web).json()["choices"][0]["token_ids"] == [3] * 4
    again = write(folder, leaning(5))
    assert post(web, folder, again).status_code == 200
    assert ask(web).json()["choices"][0]["token_ids"] == [5] * 4
    assert isinstance(what.serves.actor, Actor)


def test_a_server_that_nobody_publishes_to_has_no_such_door():
    with served.served() as what:
        answer = TestClient(app(what), base_url="http://localhost").post("/v1/weights", json={"sha256": "0" * 64})
    assert answer.status_code == 404
    assert "strop serve RUN --weights DIR" in answer.json()["error"]["message"]
