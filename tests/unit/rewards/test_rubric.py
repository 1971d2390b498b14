"""Answers scored by named criteria."""

import json

import pytest
from one_turn import wrote

from judge_server import says, sends, serving, text_in
from strop.rewards import GroupReward, Judge, Patience, Rubric
from strop.types import Completion, End, Episode, Task, Turn, Unscored

TASK = Task("t", "Ask for tea.", answer="Tea, please.")
CRITERIA = {"polite": "It says please.", "清楚": "意思清楚。"}


def rubric(*replies, **fields):
    """One whose judge gives these replies, in turn."""

    def judge(questions, read):
        found = []
        for _, reply in zip(questions, replies, strict=True):
            try:
                found.append(read(reply))
            except ValueError as error:
                found.append(Unscored(str(error)))
        return found

    return Rubric(judge, CRITERIA, **fields)


def scored(reply, **fields):
    return rubric(reply, **fields)(TASK, [wrote(TASK, "Tea.")])[0]


@pytest.mark.parametrize(
    ("polite", "clear", "best", "reward"),
    [(1, 1, 5, 0.0), (5, 5, 5, 1.0), (5, 1, 5, 0.5), (2, 3, 5, 0.375), (4.0, 5, 5, 0.875), (1, 2, 2, 0.5)],
)
def test_the_reward_is_the_mean_from_all_worst_to_all_best(polite, clear, best, reward):
    reply = json.dumps({"reason": "so", "polite": polite, "清楚": clear}, ensure_ascii=False)
    assert scored(reply, best=best) == reward


@pytest.mark.parametrize(
    "polite", [0, 6, 1e9, 2.5, -3, "5", True, None, [5], {"score": 5}, float("nan"), float("inf"), 10**400]
)
def test_what_is_no_score_is_not_read(polite):
    assert isinstance(scored(json.dumps({"polite": polite, "清楚": 5})), Unscored)


@pytest.mark.parametrize("reply", ["", "5", "polite: 5", '{"polite": 5}', '{"polite": 5, "polite": 1, "清楚": 5}'])
def test_a_reply_without_every_criterion_is_not_read(reply):
    assert isinstance(scored(reply), Unscored)


def test_each_answer_has_its_own_score():
    replies = [json.dumps({"polite": n, "清楚": n}) for n in (1, 3, 5)]
    assert rubric(*replies)(TASK, [wrote(TASK, text) for text in "abc"]) == [0.0, 0.5, 1.0]


def test_several_turns_are_unscored_and_not_asked_about():
    turn = Turn((1,), Completion((1,), None, "stop"), "Tea.")
    long = Episode("e", TASK, 0, (turn, turn), (), End.TERMINATED)
    found = rubric(json.dumps({"polite": 5, "清楚": 5}))(TASK, [long, wrote(TASK, "Tea.")])
    assert "2 turns" in found[0].reason
    assert found[1] == 1.0


@pytest.mark.parametrize("reference", [False, True])
def test_the_judge_reads_criteria_request_answer_and_if_set_the_reference(reference):
    seen = []

    def judge(questions, read):
        seen.extend(questions)
        return [1.0] * len(questions)

    Rubric(judge, CRITERIA, best=7, reference=reference)(TASK, [wrote(TASK, "Give me tea.")])
    ((system, user),) = seen
    assert "- polite: It says please.\n- 清楚: 意思清楚。" in system["content"]
    assert "to 7, the best" in system["content"]
    assert text_in(user["content"], "request") == "Ask for tea."
    assert text_in(user["content"], "answer") == "Give me tea."
    assert ("Tea, please." in user["content"]) is reference
    assert '"polite": a score, "清楚": a score' in user["content"]


def test_a_reference_is_needed_where_it_is_read():
    with pytest.raises(ValueError, match="has no answer: Rubric"):
        rubric("", reference=True)(Task("t", "p"), [wrote(TASK, "Tea.")])


@pytest.mark.parametrize(
    "fields", [{"criteria": {}}, {"criteria": {"a": ""}}, {"criteria": {1: "a"}}, {"criteria": "a"}, {"best": 1}]
)
def test_a_wrong_field_is_refused(fields):
    with pytest.raises(ValueError, match="Rubric"):
        Rubric(**{"judge": len, "criteria": CRITERIA, **fields})


def test_over_http_an_odd_reply_is_asked_for_again(tmp_path):
    good = json.dumps({"reason": "so", "polite": 5, "清楚": 3})
    with serving(says('{"polite": 11, "清楚": 3}'), sends(b"{", status=503), says(good)) as server:
        judge = Judge(url=server.url, model="m", cache=str(tmp_path / "j"), patience=Patience(attempts=3))
        assert GroupReward(Rubric(judge, CRITERIA))(TASK, [wrote(TASK, "Tea.")]) == [0.75]
    assert len(server.seen) == 3
