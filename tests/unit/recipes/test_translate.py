"""The recipe of translation, on a toy language: its stages, its fields, and that it learns."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import small_pairs
import strop
from strop.cli.main import main
from strop.data.parallel import parallel
from strop.data.vocabulary import spelt
from strop.recipes import translate
from strop.recipes.translate import script_of, stages, translated, vocabulary_of, words_of
from strop.runs.directory import RunDirectory

SHAPES = ("marian", "bart", "t5", "llama", "qwen3", "gpt2")
ENCODERS = SHAPES[:3]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    small_pairs.write(Path("toy.tsv"))


def toy(target: str = "zh_Hans", source: str = "en"):
    return parallel("toy.tsv", source, target, tell=lambda line: None)


def tiny(shape: str, **changes: int) -> list[strop.Stage]:
    return stages(toy(), "zh_Hans", shape, **{"width": 32, "num_layers": 1, "vocabulary": 400, **changes})


def test_both_stages_are_judged_on_development_and_hold_no_held_out_pair():
    found = toy()
    sft, rl = translate.recipe(data="toy.tsv", width=32)
    assert [sft.name, rl.name] == ["sft", "rl"]
    for config in (sft.config, rl.config):
        assert [task.prompt for task in config.tasks] == [pair.source for pair in found.train]
        assert [task.answer for task in config.held_out] == [pair.target for pair in found.development]
        assert set(config.rewards) == {"chrf"}
        assert set(config.gold) == {"bleu", "script"}
    assert sft.config.algorithm.reads == "demonstrations"
    assert rl.config.policy == strop.FromStage("sft")
    assert rl.config.algorithm.kl.weight > 0


def test_the_vocabulary_is_of_both_languages_and_of_training_pairs_alone():
    """Bytes and `<end>`, each Chinese character and the first two of its bytes, and a few merged pairs."""
    found = toy()
    seen = [text for pair in found.train for text in (pair.source, pair.target)]
    characters = {letter for pair in found.train for letter in pair.target}
    tokens = json.loads(vocabulary_of(found.train, 4096).json)["model"]["vocab"]
    assert {spelt(letter) for letter in characters} <= set(tokens)
    assert len(tokens) <= 257 + 2 * len(characters) + sum(map(len, seen)) // 50
    assert len(tokens) > 257 + len(characters)
    assert len(json.loads(vocabulary_of(found.train, 300).json)["model"]["vocab"]) <= 300


@pytest.mark.parametrize("shape", SHAPES)
def test_a_decoder_alone_reads_a_line_break_after_the_source(shape):
    ends = {task.prompt[-1] for task in tiny(shape)[0].config.tasks}
    assert (ends == {"\n"}) == (shape not in ENCODERS)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_longest_pair_fits_into_the_context(shape):
    config = tiny(shape)[0].config
    policy, codec = config.policy.build(0, "float32")
    for task in (*config.tasks, *config.held_out):
        length = len(codec.start(task.prompt)) + max(len(codec.encode(task.answer)) + 1, config.sampling.max_tokens)
        assert policy.context is None or length <= policy.context  # t5 reads any number


def test_an_encoder_decoder_and_a_decoder_have_about_as_many_parameters():
    found = toy()
    sizes = []
    for shape in ("marian", "llama"):
        policy, _ = stages(found, "zh_Hans", shape)[0].config.policy.build(0, "float32")
        sizes.append(sum(one.numel() for one in policy.parameters()))
    assert 0.9 < sizes[0] / sizes[1] < 1.1


@pytest.mark.parametrize(
    ("target", "words"),
    [("zh_Hans", "zh"), ("zh-TW", "zh"), ("de", "13a"), ("pt_BR", "13a"), ("ja", "char"), ("th", "char")],
)
def test_bleu_divides_words_as_the_language_needs(target, words):
    assert words_of(target) == words


def test_another_direction_changes_what_is_judged():
    found = toy("en", "zh_Hans")
    assert script_of(found.train) == "LATIN"
    config = stages(found, "en", width=32)[0].config
    assert config.gold["bleu"] == strop.rewards.SentenceBleu(tokenize="13a")
    assert config.gold["script"] == strop.rewards.InScript("LATIN")
    assert not re.search("[a-z]", config.tasks[0].prompt)


@pytest.mark.matrix
@pytest.mark.parametrize("shape", ["marian", "llama"])
def test_the_command_trains_both_stages_in_another_direction(shape, capsys):
    words = ["data=toy.tsv", "source=zh_Hans", "target=en", f"shape={shape}", "width=32", "num_layers=1", "sft_steps=4"]
    assert main(["train", "translate", *words, "rl.steps=2", "rl.prompts_per_step=2", "--run", "r"]) == 0
    config = RunDirectory(Path("r/2-rl")).config()
    assert config["steps"] == 2
    tasks = [json.loads(line) for line in Path("r/2-rl/tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(re.fullmatch(r"[\u4e00-\u9fff]+\n?", task["prompt"]) for task in tasks)
    assert "pairs to train on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=none.tsv"], "there is no file or catalogue 'none.tsv'"),
        (["data=toy.tsv", "target=de"], "names no column for target: it has 'en', 'zh_Hans'"),
        (["data=toy.tsv", "shape=lstm"], "shape=lstm: allowed is marian or bart or t5 or llama or qwen3 or gpt2."),
        (["data=toy.tsv", "source=zh_Hans"], "are one language: there is nothing to translate"),
        (["taget=de"], "did you mean target?"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_trained(words, message, capsys):
    assert main(["train", "translate", *words, "--run", "r"]) != 0
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().split("\n\n")[0].splitlines()) == 1
    assert not Path("r").exists()


@pytest.mark.learning
@pytest.mark.parametrize("shape", ["marian", "llama"])
def test_a_toy_language_is_learnt_and_the_reward_does_not_undo_it(shape):
    """Of 13 held-out sentences of three words none was seen, and each word was. Random words would be right once in
    210 times."""
    sft, rl = tiny(shape, width=64, sft_steps=400)
    calm = replace(rl.config, steps=10, prompts_per_step=8)
    run = strop.train([sft, strop.Stage("rl", calm)], "runs/toy", progress=False)
    pairs = toy().held_out
    made = translated(run, [pair.source for pair in pairs])
    right = [text == pair.target for text, pair in zip(made, pairs, strict=True)]
    assert sum(right) / len(right) > 0.7
    drawn = translated(run, [pair.source for pair in pairs], temperature=1.0)
    assert drawn == translated(run, [pair.source for pair in pairs], temperature=1.0)
