"""`strop score --agreement`: what is printed, as JSON too, and the exit code."""

import json

import pytest

LENGTH = "lambda task, episode: float(len(episode.text))"
JUDGE = """strop.rewards.GroupReward(strop.rewards.Pairwise(
    lambda questions, read: [read('{"better": "A"}') for _ in questions]))"""


@pytest.fixture
def pairs(tmp_path):
    lines = [{"prompt": "p", "chosen": "a" * (i + 2), "rejected": "a" * (i + 1)} for i in range(10)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_agreement_is_shown_with_its_interval_and_leaves_0(strop, table_recipe, pairs):
    said = strop("score", table_recipe(reward=LENGTH), "--agreement", pairs)
    assert said.code == 0
    assert "1.000 [0.7" in said.out
    assert "better than tossing" in said.out


def test_what_agrees_with_nothing_leaves_1(strop, table_recipe, pairs):
    said = strop("score", table_recipe(reward="lambda task, episode: 1.0"), "--agreement", pairs)
    assert said.code == 1
    assert "does not show" in said.out


def test_a_judge_that_always_takes_the_first_is_found_out(strop, table_recipe, pairs):
    recipe = table_recipe(reward=JUDGE)
    said = strop("score", recipe, "--agreement", pairs)
    assert said.code == 1
    assert "both first" in said.out
    assert "+1.0" in said.out
    found = json.loads(strop("score", recipe, "--agreement", pairs, "--json").out)
    assert (found["pairs"], found["is_shown"]) == (10, False)
    assert found["places"][0]["first"] == 10


def test_a_file_without_pairs_is_refused(strop, table_recipe, tmp_path):
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "p", "completion": "a", "label": true}\n')
    said = strop("score", table_recipe(), "--agreement", "tasks.jsonl")
    assert said.code == 1
    assert '"chosen" and "rejected"' in said.err


@pytest.mark.parametrize("more", [["--gold"], ["--speed"], ["--attack"], ["--groups", "2"], ["a text"]])
def test_it_stands_alone(strop, table_recipe, pairs, more):
    said = strop("score", table_recipe(), *more, "--agreement", pairs)
    assert said.code == 2
    assert "--agreement stands alone" in said.err
