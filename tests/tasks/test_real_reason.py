"""reasoning-gym's problems, with the real model."""

from dataclasses import replace

import pytest

import strop
from strop.data.reason import names, problems, score_answer
from strop.recipes import reason
from strop.rewards import Reasoned, SameMaths
from strop.runs.progress import Progress
from strop.types import Task

pytestmark = pytest.mark.task
SOME = ("chain_sum", "basic_arithmetic", "gcd", "leg_counting", "letter_counting", "propositional_logic", "syllogism")


def test_there_are_as_many_as_the_page_says():
    assert len(names()) == 105


@pytest.mark.parametrize("name", SOME)
def test_its_own_answers_are_right_and_others_are_not(name):
    found = problems(name, levels=2, per_level=12)
    for task in found.held_out:
        assert score_answer(task.answer, task.data) == 1.0
        assert score_answer("zzz", task.data) < 1.0


def test_the_levels_of_chain_sum_get_harder_and_share_no_question():
    found = problems("chain_sum")
    longest = [max(len(task.answer.lstrip("-")) for task in level) for level in found.levels]
    assert len(found.levels) == 4
    assert longest == sorted(longest)
    prompts = [task.prompt for split in (*found.levels, found.development, found.held_out) for task in split]
    assert len(set(prompts)) == len(prompts)


def test_an_unknown_name_has_a_nearest_one():
    with pytest.raises(ValueError, match="did you mean chain_sum"):
        problems("chainsum")


@pytest.mark.parametrize(
    ("name", "reward"),
    [("chain_sum", SameMaths()), ("leg_counting", SameMaths()), ("syllogism", Reasoned(score_answer))],
)
def test_numbers_are_judged_as_mathematics(name, reward):
    assert reason.recipe(name, levels=1).rewards["right"][0] == reward


def test_the_question_repeated_is_no_answer():
    found = problems("chain_sum", levels=1, per_level=20)
    for task in found.held_out:
        sum = task.prompt.partition(": ")[2]
        for text in (sum, sum.removesuffix(" =")):
            assert SameMaths()(task, _wrote(task, text)) == 0.0
        assert SameMaths()(task, _wrote(task, f"{sum} {task.answer}")) == 1.0


def test_two_steps_run(tmp_path, monkeypatch):
    monkeypatch.setattr(reason, "NUM_JUDGED", 8)
    config = replace(reason.recipe(judged="development"), steps=2, prompts_per_step=2)
    run = strop.train(config, tmp_path / "run", progress=Progress.silent())
    assert 0.0 <= run.metrics()[-1]["held_out/gold/number"] <= 1.0


def _wrote(task: Task, text: str) -> strop.Episode:
    from strop.types import Completion, End, Turn

    return strop.Episode("e", task, 0, (Turn((1,), Completion((1,), None, "stop"), text),), (), End.TERMINATED)
