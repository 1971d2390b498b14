"""The next two answers to compare: blind, in random order, to each person once."""

import pytest
from fastapi.testclient import TestClient

import served
from feedback_people import answer
from strop.web.app import app

SYSTEM = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]


@pytest.fixture
def what(tmp_path):
    with served.served(folder=tmp_path) as found:
        for i in range(3):
            both = [answer(f"{i}{name}", f"{name} says {i}", messages=SYSTEM) for name in "ab"]
            found.store.write(both, [])
            found.store.pairs.add(f"{i}a", f"{i}b", seldom=1.0 - i / 10)
        yield found


@pytest.fixture
def web(what):
    return TestClient(app(what), base_url="http://localhost")


def following(web, rater="ann"):
    answer = web.post("/pairs/next", json={"rater": rater})
    assert answer.status_code == 200, answer.text
    return answer.json()["pair"]


def judge(web, pair, rater="ann"):
    a, b = (one["inference_id"] for one in pair["answers"])
    said = {"kind": "comparison", "rater": rater, "value": {"a": a, "b": b, "choice": "A", "shown_first": "A"}}
    assert web.post("/feedback", json=said).status_code == 200


def test_a_person_gets_each_pair_once(web):
    seen = []
    while (pair := following(web)) is not None:
        seen.append(pair["number"])
        judge(web, pair)
    assert seen == [1, 2, 3]
    assert following(web, "bob")["number"] == 1


def test_it_says_what_was_asked_and_nothing_of_where_the_answers_come_from(web):
    pair = following(web)
    assert set(pair) == {"number", "messages", "answers"}
    assert pair["messages"] == SYSTEM
    texts = {one["inference_id"]: one["text"] for one in pair["answers"]}
    assert texts == {"0a": "a says 0", "0b": "b says 0"}
    assert [set(one) for one in pair["answers"]] == [{"inference_id", "text"}] * 2


def test_the_order_is_random(web):
    first = {following(web)["answers"][0]["inference_id"] for _ in range(40)}  # held for ann, so the same pair
    assert first == {"0a", "0b"}  # but for one in 2 ** 39


def test_a_pair_can_be_passed_over(web):
    assert web.post("/pairs/skip", json={"pair": 1, "rater": "ann"}).json() == {"pair": 1}
    assert following(web)["number"] == 2
    missing = web.post("/pairs/skip", json={"pair": 9, "rater": "ann"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_id")


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("next", {"rater": ""}, "at least 1"),
        ("next", {"who": "ann"}, "'who' is not served"),
        ("skip", {"rater": "ann"}, "Field required"),
        ("skip", {"pair": 0}, "greater than or equal to 1"),
        ("skip", {"pair": 2**63}, "less than"),
    ],
)
def test_what_is_wrong_is_refused(web, path, body, says):
    answer = web.post(f"/pairs/{path}", json=body)
    assert (answer.status_code, says in answer.json()["error"]["message"]) == (400, True), answer.text


def test_without_an_assistant_there_are_no_pairs():
    with served.served() as bare:
        web = TestClient(app(bare), base_url="http://localhost")
        for path, body in (("next", {}), ("skip", {"pair": 1})):
            answer = web.post(f"/pairs/{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_store")
