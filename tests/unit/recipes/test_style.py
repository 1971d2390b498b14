"""The recipe of styles: its stages, its scores by hand, and that it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import strop
import tiny_hf
from strop.data.style import held_out_nouns, trained_nouns
from strop.recipes import style
from strop.recipes.style import Syllables, demonstrations, ease_of, gold, reading_ease, rewards
from strop.rewards import _syllables
from strop.types import Completion, End, Episode, Task, Turn

STYLES = ("grimm", "simple", "haiku")
POND = "An old silent pond\nA frog jumps into the pond\nSplash! Silence again."
TASK = Task("frog", "")


def wrote(text: str) -> Episode:
    return Episode("e", TASK, 0, (Turn((), Completion((), None, "stop"), text),), (), End.TERMINATED)


@pytest.mark.parametrize(
    ("text", "score", "exact"),
    [
        (POND, 1.0, 1.0),
        (POND.replace("\n", "\n\n") + "\n", 1.0, 1.0),
        (POND.replace("old ", ""), (4 / 5 + 1 + 1) / 3, 2 / 3),
        (POND + "\nOnce more", 3 / 4, 3 / 4),
        (POND.rpartition("\n")[0], 2 / 3, 2 / 3),
        (POND.replace("old", "8"), 2 / 3, 2 / 3),
        ("word " * 30, 0.0, 0.0),
        ("", 0.0, 0.0),
        ("...\n...\n...", 0.0, 0.0),
    ],
)
def test_syllables_of_lines_are_compared_with_a_pattern(text, score, exact):
    assert Syllables()(TASK, wrote(text)) == pytest.approx(score)
    assert Syllables(exact=True)(TASK, wrote(text)) == pytest.approx(exact)


def test_the_other_counter_does_not_know_words_that_there_are_not(monkeypatch):
    known = {"an": 1, "old": 1, "silent": 2, "pond": 1}
    monkeypatch.setattr(_syllables, "pronounced", lambda: known)
    _syllables._syllables.cache_clear()
    score = Syllables(pattern=(5, 5), counter="dictionary")
    assert score(TASK, wrote("An old silent pond\nAn old silent zorb")) == 0.5
    assert Syllables(pattern=(5, 5))(TASK, wrote("An old silent pond\nAn old silent zorb")) == 1.0
    _syllables._syllables.cache_clear()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pattern": ()}, "it has a line or more"),
        ({"pattern": (5, 0)}, "of 1 syllable or more"),
        ({"counter": "ears"}, "it is rules or dictionary"),
    ],
)
def test_a_pattern_that_is_none_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Syllables(**fields)


def test_reading_ease_by_hand():
    """Two sentences, 6 words, 7 syllables: 206.835 - 1.015 * 3 - 84.6 * 7 / 6 = 105.09; capped at 1."""
    assert ease_of("The frog sat. It was happy.") == pytest.approx(105.09)
    assert reading_ease(TASK, wrote("The frog sat. It was happy.")) == 1.0
    assert reading_ease(TASK, wrote("Incomprehensibility")) == 0.0
    assert reading_ease(TASK, wrote("")) == 0.0


@pytest.mark.parametrize("name", STYLES)
def test_no_prompt_and_no_imitated_text_names_a_held_out_noun(name):
    sft, rl = style.recipe(name, minutes=8.0)
    assert [sft.config.minutes, rl.config.minutes] == [3.0, 5.0]
    held_out = set(held_out_nouns())
    assert [task.id for task in rl.config.tasks] == list(trained_nouns())
    for task in sft.config.tasks:
        words = set((task.prompt[0]["content"] + " " + task.answer).lower().replace(",", " ").split())
        assert not words & held_out
    (alone,) = style.recipe(name, method="sft", minutes=8.0)
    assert alone == strop.Stage("sft", replace(sft.config, minutes=8.0))


def test_nouns_to_choose_by_are_not_judged_at_the_end():
    end, choosing = (
        {task.id for task in style.recipe(judged=one)[0].config.held_out} for one in ("held_out", "development")
    )
    assert end | choosing == set(held_out_nouns())
    assert not end & choosing


def test_imitated_haiku_are_exact_and_imitated_passages_are_the_simplest():
    assert min(Syllables(exact=True)(TASK, wrote(task.answer)) for task in demonstrations("haiku")) == 1.0
    simple = {task.answer for task in demonstrations("simple")}
    all_eases = sorted((ease_of(task.answer) for task in demonstrations("grimm")), reverse=True)
    assert min(map(ease_of, simple)) == pytest.approx(all_eases[len(simple) - 1])


@pytest.mark.parametrize("name", STYLES)
def test_gold_is_another_measure_than_the_reward(name):
    assert not {repr(one[0]) for one in rewards(name).values()} & {repr(one[0]) for one in gold(name).values()}


@pytest.mark.parametrize("name", STYLES)
def test_a_text_gets_a_fifth_for_naming_what_it_is_about(name):
    """All that a text can earn is 1."""
    scores = rewards(name)
    named, weight = scores["named"]
    assert sum(weight for _, weight in scores.values() if weight > 0.0) == pytest.approx(1.0)
    for task in style.recipe(name)[1].config.held_out[:3]:
        assert weight * named(task, wrote(f"Once an old {task.id} fell asleep.")) == pytest.approx(0.2)
        assert named(task, wrote("Once the mother fell asleep.")) == 0.0


def test_both_stages_run_on_a_tiny_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tiny_hf.make(Path("tiny").absolute())
    small = [
        strop.Stage(
            one.name,
            replace(
                one.config,
                tasks=[task for task in one.config.tasks if len(task.answer) < 150],  # it reads 256 bytes
                steps=2,
                minutes=None,
                held_out=one.config.held_out[:2],
            ),
        )
        for one in style.recipe(model=str(folder))
    ]
    run = strop.train(small, "runs/toy", progress=False)
    assert {"held_out/grimm", "held_out/repetition", "held_out/gold/bayes"} <= set(run.metrics()[-1])
