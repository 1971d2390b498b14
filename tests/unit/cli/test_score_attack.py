"""`strop score --attack` and `--speed`: what is printed, as JSON too, and the exit code."""

import json

import pytest

from strop.cli import show_attack
from strop.reports import speed

LENGTH = "lambda task, episode: float(len(episode.text))"


def test_a_reward_for_length_is_cheated_and_the_command_fails(strop, table_recipe):
    said = strop("score", table_recipe(reward=LENGTH), "b or not b", "--task", "two", "--attack")
    assert said.code == 1
    assert "above an honest answer" in said.out
    assert said.out.index("very long") < said.out.index("stock sentence")  # the worst first
    assert "1 of 1" in said.out
    assert "below: another" not in said.out
    assert "It can be cheated: of " in said.out


def test_what_cannot_be_cheated_leaves_0(strop, table_recipe):
    said = strop("score", table_recipe(), "b", "--attack")
    assert said.code == 0
    assert "none scores as high as an honest answer" in said.out
    assert "below: " in said.out
    assert "empty" in said.out


def test_without_an_answer_it_says_what_cannot_be_judged_and_what_to_type(strop, table_recipe):
    said = strop("score", table_recipe(reward=LENGTH), "--attack")
    assert said.code == 1
    assert "2 tasks of 2 cannot be judged" in said.out
    assert "it has no answer" in said.out
    assert 'strop score mine.py "an honest answer" --task ' in said.out
    assert "Nothing could be compared" in said.out
    one = strop("score", "mine.py", "--attack", "--groups", 1)
    assert "1 task of 1 cannot be judged" in one.out


def test_its_json_has_every_attempt_with_the_whole_text(strop, table_recipe):
    recipe = table_recipe(reward=LENGTH, replace=[('Task("one", "a")', 'Task("one", "a", "b b")')])
    found = json.loads(strop("score", recipe, "--attack", "--json").out)
    assert found["honest"] == {"one": "b b"}
    assert found["unjudged"] == {"two": "it has no answer"}
    worst = found["attempts"][0]
    assert (worst["kind"], worst["task"], worst["outcome"], worst["honest"]) == ("very long", "one", "above", 3.0)
    assert worst["reward"] == len(worst["text"]) == worst["margin"] + 3.0 == worst["parts"]["said_b"]
    assert {one["margin"] for one in found["attempts"] if one["task"] == "two"} == {None}
    assert found == json.loads(strop("score", recipe, "--attack", "--json").out)


@pytest.mark.parametrize("more", ["--gold", "--speed"])
def test_an_attack_stands_alone(strop, table_recipe, more):
    assert strop("score", table_recipe(), "--attack", more).code == 2


def test_speed_has_a_line_for_each_reward_and_gold_when_asked(strop, table_recipe, monkeypatch):
    monkeypatch.setattr(speed, "LONG_ENOUGH", 0.0)
    recipe = table_recipe(replace=[("algorithm=", "gold={'more': said_b},\n        algorithm=")])
    assert "said_b" in strop("score", recipe, "--speed").out
    found = json.loads(strop("score", recipe, "b", "--speed", "--gold", "--json").out)
    assert [one["name"] for one in found] == ["said_b", "gold/more"]
    assert all(one["per_second"] > 0.0 and one["answers"] == 4 and one["unscored"] == 0 for one in found)


def test_each_kind_has_one_row_at_its_worst_task(capsys, monkeypatch):
    from strop.reports.attack import Attack, Attempt

    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")
    attempts = [
        Attempt("empty", "two", "above", 3.0, 1.0, 2.0, {}, ""),
        Attempt("empty", "one", "above", 2.0, 1.0, 1.0, {}, ""),
        Attempt("prompt copied", "one", "equal", 1.0, 1.0, 0.0, {}, "a\x1b\n\u200bb" + "c" * 200),
        Attempt("prompt copied", "two", "below", 0.0, 1.0, -1.0, {}, "p"),
        Attempt("very long", "two", "below", 0.0, 1.0, -1.0, {}, "p"),
    ]
    show_attack.attacked(Attack(2, {"one": "x", "two": "y"}, {}, attempts, "told."), "r", as_json=False)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines == [
        "above an honest answer",
        "text scores honest tasks",
        "empty 3.000 1.000 2 of 2 (nothing that can be printed)",
        "as high as an honest answer",
        "text scores honest tasks",
        f"prompt copied 1.000 1.000 1 of 2 a b{'c' * 83} ...",
        "below: very long",
        "told.",
    ]
