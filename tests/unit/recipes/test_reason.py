"""Problems in levels, and the recipe on our own sums and a tiny model."""

from dataclasses import replace

import pytest

import strop
from strop.data.reason import LADDER, are_numbers, problems, score_answer
from strop.recipes import reason
from strop.rewards import Reasoned, correct_number, exact_answer
from strop.runs.progress import Progress
from strop.types import Task
from tiny_hf import make


def quiet(*given, **fields):
    return problems(*given, **fields, tell=lambda line: None)


def numbers_of(task):
    return [word.strip("?") for word in task.prompt.split()[2::2]]


def test_sums_have_the_terms_and_digits_of_their_level_and_their_value():
    found = quiet("sums", levels=len(LADDER))
    assert len(found.levels) == len(LADDER)
    for level, (terms, digits) in zip(found.levels, LADDER, strict=True):
        for task in level:
            assert [len(number) for number in numbers_of(task)] == [digits] * terms
            assert eval(task.prompt.removeprefix("What is ").removesuffix("?")) == int(task.answer)


def test_no_question_stands_in_two_splits_or_levels():
    found = quiet("sums")
    splits = [*found.levels, found.development, found.held_out]
    prompts = [task.prompt for split in splits for task in split]
    assert len(set(prompts)) == len(prompts)
    share = len(found.held_out) / len(prompts)
    assert 0.19 < share < 0.21
    assert {task.data["level"] for task in found.held_out} == {0, 1, 2, 3}


def test_the_same_seed_makes_the_same_problems():
    assert quiet("sums") == quiet("sums")
    assert quiet("sums", seed=1) != quiet("sums")


@pytest.mark.parametrize(("answer", "score"), [("8", 1.0), (" 8.0 ", 1.0), ("9", 0.0), ("4 + 4", 0.0), ("nan", 0.0)])
def test_a_sum_is_scored_by_its_value(answer, score):
    assert score_answer(answer, {"made_by": "sums", "value": 8}) == score


def test_answers_are_numbers_or_not():
    assert are_numbers([Task("1", "p", "-1,000.5"), Task("2", "p", "3")])
    assert not are_numbers([Task("1", "p", "3"), Task("2", "p", "yes")])


@pytest.mark.parametrize("fields", [{"levels": 0}, {"levels": len(LADDER) + 1}, {"per_level": 2}])
def test_what_cannot_be_made_is_refused(fields):
    with pytest.raises(ValueError, match="level"):
        quiet("sums", **fields)


def test_without_reasoning_gym_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("strop.data.reason.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"strop\[reason\].*task=sums"):
        quiet("chain_sum")


@pytest.mark.parametrize("fields", [{"order": "hard"}, {"judged": "all"}])
def test_a_wrong_parameter_is_refused(fields):
    with pytest.raises(ValueError, match="it is"):
        reason.recipe("sums", **fields)


def test_levels_open_one_by_one_or_all_are_mixed():
    ladder, mixed = reason.recipe("sums").tasks, reason.recipe("sums", order="mixed").tasks
    assert isinstance(ladder, strop.data.Curriculum)
    assert {task.data["level"] for task in ladder.build(0).next(20)} == {0}
    assert [task.id for task in ladder] == [task.id for task in mixed]
    shared = {task.prompt[0]["content"] for task in mixed}
    assert not shared & {task.prompt[0]["content"] for task in reason.recipe("sums").held_out}


def test_the_reward_fits_the_answers():
    assert reason.reward_of("sums", are_sums=True) is correct_number
    assert reason.reward_of("leg_counting", are_sums=False) == Reasoned(score_answer)
    assert reason.recipe("sums").gold == {"exact": exact_answer}


def test_a_step_under_the_curriculum_runs_and_can_be_read_again(tmp_path):
    model = str(make(tmp_path / "tiny"))
    config = replace(reason.recipe("sums", model=model), steps=1, group_size=2, prompts_per_step=2)
    config = replace(config, held_out=config.held_out[:4])
    run = strop.train(config, tmp_path / "run", progress=Progress.silent())
    rows = run.metrics()
    assert rows[-1]["held_out/right"] == 0.0
    assert [row["curriculum/level"] for row in rows if "curriculum/level" in row] == [1]
    assert strop.load(tmp_path / "run").config.tasks.unlock == 0.7
