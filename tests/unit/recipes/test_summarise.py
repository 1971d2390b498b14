"""The recipe of summaries: its stages and minutes, its baselines, and that it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import small_descriptions
import strop
import tiny_hf
from strop.recipes import summarise
from strop.recipes.summarise import ASK, Cut, Shortened, asked, first_sentence, longer, rewards, whole
from strop.types import Completion, End, Episode, Task, Turn

TEXT = "Foo is a fast reader of\nfoo files. It reads them."
TASK = Task("foo", ASK + TEXT, "reader of foo files")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_descriptions.write(Path("toy.jsonl"), 72)


def wrote(text: str) -> Episode:
    return Episode("e", TASK, 0, (Turn((), Completion((), None, "stop"), text),), (), End.TERMINATED)


def test_sft_has_three_eighths_of_the_minutes_or_all():
    sft, rl = summarise.recipe(data="toy.jsonl", minutes=8.0)
    assert [sft.name, sft.config.minutes, rl.name, rl.config.minutes] == ["sft", 3.0, "rl", 5.0]
    assert sft.config.algorithm.reads == "demonstrations"
    assert rl.config.policy == strop.FromStage("sft")
    (alone,) = summarise.recipe(data="toy.jsonl", minutes=8.0, method="sft")
    assert alone == strop.Stage("sft", replace(sft.config, minutes=8.0))


def test_held_out_tasks_are_judged_and_development_ones_where_settings_are_chosen():
    found = summarise.summaries("toy.jsonl", tell=lambda line: None)
    for judged, part in (("held_out", found.held_out), ("development", found.development)):
        for stage in summarise.recipe(data="toy.jsonl", judged=judged):
            assert [task.id for task in stage.config.held_out] == [task.id for task in part]
            assert [task.id for task in stage.config.tasks] == [task.id for task in found.train]


def test_a_question_stands_before_the_first_words_of_a_text():
    assert asked(replace(TASK, prompt=TEXT), 6).prompt == [{"role": "user", "content": f"{ASK}Foo is a fast reader of"}]
    assert asked(replace(TASK, prompt=TEXT), 7).prompt[0]["content"] == f"{ASK}Foo is a fast reader of\nfoo"
    assert asked(replace(TASK, prompt=TEXT), 99).prompt[0]["content"] == ASK + TEXT


@pytest.mark.parametrize(
    ("part", "words", "text"),
    [
        (whole, 3, "Foo is a"),
        (whole, 7, "Foo is a fast reader of\nfoo"),
        (first_sentence, 2, "fast reader"),
        (first_sentence, 12, "fast reader of"),  # a line break ends a sentence too
    ],
)
def test_a_baseline_takes_the_first_words_or_the_first_sentence_without_a_name(part, words, text):
    assert Cut(part, words)(TASK, None) == text


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("This package provides the headers of foo. And more.", "headers of foo."),
        ("foo-bar (also FB) is an editor.", "editor."),
        ("Reads foo files.", "Reads foo files."),
        ("", ""),
    ],
)
def test_a_first_sentence_loses_its_name_and_no_more(sentence, text):
    assert first_sentence(sentence) == text


def test_a_baseline_takes_the_number_of_words_that_is_best_in_training():
    """The answer is the first six words: with six ROUGE-L is 1. Of the sentence without "Foo is a" eight words are."""
    prompt = ASK + "Foo is a one two three four five six seven eight nine ten."
    assert Shortened(whole).fit([Task("1", prompt, "Foo is a one two three")]) == Cut(whole, 6)
    named = Task("1", prompt, "one two three four five six seven eight")
    assert Shortened(first_sentence).fit([named]) == Cut(first_sentence, 8)


def test_the_reward_is_rouge_and_a_length_within_limits():
    """'reader of foo' has 3 of 3 words right and 3 of 4 found: F = 6/7. Of 14 words 2 are beyond 12: 10/12."""
    parts = {name: (reward(TASK, wrote("reader of foo")), weight) for name, (reward, weight) in rewards().items()}
    assert parts == {"rouge": (pytest.approx(6 / 7), 0.9), "length": (1.0, 0.1)}
    assert rewards()["length"][0](TASK, wrote("word " * 14)) == pytest.approx(10 / 12)
    assert sum(weight * reward(TASK, wrote(TASK.answer)) for reward, weight in rewards().values()) == pytest.approx(1.0)
    assert longer(TASK, wrote("a reader of foo files")) == 1.0
    assert longer(TASK, wrote("reader")) == -3.0


def test_both_stages_run_on_a_tiny_model():
    folder = tiny_hf.make(Path("tiny").absolute())
    stages = summarise.recipe(data="toy.jsonl", model=str(folder), words=20)
    small = [
        strop.Stage(
            one.name, replace(one.config, gold=[longer], steps=2, minutes=None, held_out=one.config.held_out[:2])
        )
        for one in stages
    ]
    run = strop.train(small, "runs/toy", progress=False)
    assert run.path.name == "2-rl"
    last = run.metrics()[-1]
    assert set(run.config.baselines) == {"lead words", "first sentence"}
    assert {"held_out/rouge", "held_out/length", "held_out/gold/longer"} <= set(last)
    assert run.config.judgement == "greedy"
