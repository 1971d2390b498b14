"""The parameters of a recipe's function are set like fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strop.runs.directory import RunDirectory

RECIPE = '''
import strop


def said(task, episode):
    """1 for the answer."""
    return float(episode.text == task.answer)


def recipe(word: str = "b", rate: float = 0.1, prompts: int = 2, loud=False):
    """A table that learns to say a word.

    word     what it shall say
    rate     the learning rate,
             of Adam
    """
    tasks = [strop.Task(str(i), "a", answer=word) for i in range(prompts)]
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a", "b"], has_end=True),
        tasks=tasks,
        rewards=[said],
        algorithm=strop.algorithms.RLOO.Config(optimizer=strop.optimizer.AdamW(lr=rate)),
        sampling=strop.Sampling(max_tokens=1),
        steps=2,
        threads=1,
    )
'''
STAGES = RECIPE.replace("return strop.TrainConfig(", "config = strop.TrainConfig(").rstrip() + (
    '\n    return [strop.Stage("one", config)]\n'
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(RECIPE)
    Path("staged.py").write_text(STAGES)


def test_parameters_come_first_and_fields_after_them(strop):
    said = strop("train", "mine.py", "word=a", "rate=0.3", "steps=1", "--run", "r")
    assert said.code == 0, said.err
    config = RunDirectory(Path("r")).config()
    assert (config["steps"], config["algorithm"]["optimizer"]["lr"]) == (1, 0.3)
    tasks = [json.loads(line) for line in Path("r/tasks.jsonl").read_text().splitlines()]
    assert [task["answer"] for task in tasks] == ["a", "a"]
    assert RunDirectory(Path("r")).provenance()["command"] == "strop train mine.py word=a rate=0.3 steps=1"


def test_a_field_of_a_stage_is_told_from_a_parameter(strop):
    said = strop("train", "staged.py", "prompts=3", "one.steps=1", "--run", "r")
    assert said.code == 0, said.err
    assert RunDirectory(Path("r/1-one")).config()["steps"] == 1
    assert len(Path("r/1-one/tasks.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("file", ["mine.py", "staged.py"])
def test_they_are_listed_first_with_type_default_and_meaning(strop, file):
    said = strop("train", file, "rate=0.3", "--fields")
    assert said.code == 0, said.err
    assert said.out.startswith("word=b  (a text)\n    what it shall say\nrate=0.3  (a number; default 0.1)\n")
    assert "    the learning rate, of Adam\n" in said.out
    found = json.loads(strop("train", file, "--fields", "--json").out)
    assert [one["path"] for one in found[:4]] == ["word", "rate", "prompts", "loud"]
    assert found[3]["type"] == "true or false"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mine.py", "prompts=many"), "prompts=many: allowed is a whole number."),
        (("mine.py", "loud=2"), "loud=2: allowed is true or false."),
        (("mine.py", "wrod=a"), "wrod=a: there is no field 'wrod'; did you mean word?"),
        (("staged.py", "wrod=a"), "wrod=a: there is no field 'wrod'; did you mean word?"),
        (("mine.py", "stpes=1"), "TrainConfig has no field 'stpes'; did you mean steps?"),
        (("staged.py", "steps=1"), "a field begins with its stage (one)"),
    ],
)
def test_what_cannot_be_set_is_named_before_anything_is_made(strop, words, message):
    said = strop("train", *words)
    assert said.code == 2
    assert message in said.err
    assert not Path("runs").exists()


@pytest.mark.matrix
def test_a_sweep_takes_them(strop):
    said = strop("sweep", "mine.py", "word=a,b", "--run", "s")
    assert said.code == 0, said.err
    files = Path("s").glob("*/tasks.jsonl")
    answers = {file.parent.name: json.loads(file.read_text().splitlines()[0])["answer"] for file in files}
    assert answers == {"word-a": "a", "word-b": "b"}


def test_a_resume_with_the_recipe_takes_them_again(strop):
    assert strop("train", "mine.py", "word=a", "--run", "r").code == 0
    said = strop("train", "mine.py", "--resume", "--run", "r", "word=a", "steps=3")
    assert said.code == 0, said.err
    assert RunDirectory(Path("r")).config()["steps"] == 3


def test_annotations_that_cannot_be_read_do_not_matter_where_none_is_needed(strop):
    Path("mine.py").write_text(
        RECIPE.replace("import strop\n", "from __future__ import annotations\n\nimport strop\n", 1).replace(
            "loud=False):", "loud: bool = False) -> NotThere:"
        )
    )
    assert strop("train", "mine.py", "steps=1", "--run", "r").code == 0


def test_the_run_of_a_judge_is_one(strop):
    said = strop("train", "taste", "judge=runs/nowhere", "--fields")
    assert said.out.startswith("judge=runs/nowhere  (a text; default taste_judge)")
