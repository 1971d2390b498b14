"""Two stages: a judge learnt from preferences, and a policy that pleases it. Gold is the rule that neither reads."""

from dataclasses import replace

import pytest

import strop
from strop.recipes import taste, taste_judge
from strop.recipes.taste_judge import HELD_OUT, PROMPTS, liked, pairs
from strop.runs.progress import Progress


@pytest.mark.parametrize(
    ("text", "score"),
    [("apple bread", 1.0), ("apple apple", 0.5), ("chair grape", 0.5), ("chair dance", 0.0), ("chair chair", -0.5)],
)
def test_what_people_like(text, score):
    assert liked(text) == score


def test_pairs_say_what_people_like_and_no_stage_sees_a_held_out_prompt():
    shown = pairs(200)
    assert all(liked(one.data["chosen"]) > liked(one.data["rejected"]) for one in shown)
    config = taste.recipe()
    assert {one.prompt for one in (*shown, *config.tasks)} == set(PROMPTS)
    assert {one.prompt for one in config.held_out} == set(HELD_OUT)
    assert set(config.rewards) == {"judge"}


@pytest.mark.learning
def test_the_judge_agrees_with_people_and_pleasing_it_pleases_them(tmp_path):
    judge = strop.train(taste_judge.recipe(), tmp_path / "judge", progress=Progress.silent())
    fresh = pairs(300, seed=1)
    right = 0
    for one in fresh:
        better, worse = judge.score(HELD_OUT[0], [one.data["chosen"], one.data["rejected"]])
        right += better > worse
    assert right / len(fresh) > 0.85
    run = strop.train(taste.recipe(str(tmp_path / "judge")), tmp_path / "taste", progress=Progress.silent())
    before, after = (row["held_out/gold"] for row in run.metrics() if "held_out/gold" in row)
    # at random: 2 * 3/8 / 2 - 1/16 = .31 of 1; 32 answers
    assert before < 0.5
    assert after > 0.6


def test_the_second_stage_says_that_the_first_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = replace(taste.recipe(), steps=1, held_out=(), gold=())
    with pytest.raises(strop.types.Stopped, match=r"None of the 96 episodes .* taste_judge: no run there"):
        strop.train(config, tmp_path / "run", progress=Progress.silent())
