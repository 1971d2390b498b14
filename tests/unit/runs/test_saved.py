"""A policy as a folder: what `strop export` writes, and all that reads it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import strop
from language_models import ALL, config_of
from strop.cli.main import main
from strop.policies._shapes import SHAPES
from strop.runs.spec import encode
from strop.runs.state import same
from strop.types import Episode, Task
from tiny_tokenizer import tokenizer

SAVED = [name for name in ALL if name not in SHAPES]
in_ci = pytest.mark.matrix


def some(*names: str, fast: str) -> Any:
    """A test of these policies, of which the fast suite runs one."""
    return pytest.mark.parametrize(
        "name", [name if name == fast else pytest.param(name, marks=in_ci) for name in names]
    )


PROMPT = "the cat"


def said_b(task: Task, episode: Episode) -> float:
    """1 for blue."""
    return float(episode.text == "blue")


def trained(policy: Any, folder: Path, **given: Any) -> strop.Run:
    """A run of two steps."""
    usual: dict[str, Any] = {
        "tasks": [Task("1", "red"), Task("2", "green red")],
        "rewards": [said_b],
        "algorithm": strop.algorithms.REINFORCE.Config(optimizer=strop.optimizer.AdamW(lr=0.05)),
        "sampling": strop.Sampling(max_tokens=2),
        "group_size": 4,
        "prompts_per_step": 2,
        "steps": 2,
        "threads": 1,
    }
    return strop.train(strop.TrainConfig(policy=policy, **(usual | given)), folder)


def on_text(policy: Any, folder: Path) -> strop.Run:
    """A run of SFT on two texts."""
    tasks = [Task("1", PROMPT, answer=" sat on the mat"), Task("2", "the dog", answer=" sat on the log")]
    algorithm = strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=0.05))
    return trained(policy, folder, tasks=tasks, algorithm=algorithm, rewards=(), dtype="float32")


def export(run: strop.Run, folder: Path) -> None:
    assert main(["export", str(run.path), str(folder)]) == 0


@some(*SAVED, fast="convolutional")
def test_an_exported_policy_is_the_run_s_to_the_bit(name: str, tmp_path: Path) -> None:
    run = trained(config_of(name), tmp_path / "run")
    export(run, tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    policy, codec = strop.FromFolder(folder=str(tmp_path / "out")).build(5, "float32")
    assert same(policy.state_dict(), run.policy.state_dict())
    assert codec.encode("blue green") == run.parts.codec.encode("blue green")
    card = (tmp_path / "out/README.md").read_text()
    assert "library_name: strop" in card
    assert 'strop.FromFolder(folder="out")' in card
    assert "Trained from random weights" in card


@some(*SAVED[1:], fast="lstm")
def test_with_a_tokenizer_it_stands_beside_and_reads_the_same_ids(name: str, tmp_path: Path) -> None:
    policy = config_of(name, words=(), tokenizer=tokenizer())
    run = on_text(policy, tmp_path / "run")
    export(run, tmp_path / "out")
    assert (tmp_path / "out/tokenizer.json").read_text() == tokenizer().json
    assert encode(strop.FromFolder(folder=str(tmp_path / "out")).inner()) == encode(policy)
    again, codec = strop.FromFolder(folder=str(tmp_path / "out")).build(5, "float32")
    ids = codec.start(PROMPT)
    assert ids == run.parts.codec.start(PROMPT)
    assert ids[0] == codec.end  # a document begins with it
    assert torch.equal(again.prefill([ids])[0], run.policy.prefill([ids])[0])


@some("llama", "gpt2", "qwen3", fast="qwen3")
def test_a_transformer_s_tokenizer_is_transformers_own(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = on_text(config_of(name, words=(), tokenizer=tokenizer()), tmp_path / "run")
    export(run, tmp_path / "out")
    ids = run.parts.codec.start(PROMPT)
    found = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tuple(found(PROMPT)["input_ids"]) == ids
    assert ids[0] == run.parts.codec.end == found.eos_token_id
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    with torch.no_grad():
        logits_V = model(input_ids=torch.tensor([ids])).logits[0, -1]
    assert (logits_V - run.policy.prefill([ids])[0][0]).abs().max() < 1e-4
    again, codec = strop.policies.Transformer.Config(model=str(tmp_path / "out"), lora=None).build(0, "float32")
    for text in (PROMPT, "naïve 你好 🙂", " <end> "):
        assert codec.start(text) == run.parts.codec.start(text)
        assert codec.decode(codec.encode(text)) == text
    assert codec.stop == run.parts.codec.stop
    assert (again.prefill([ids])[0] - run.policy.prefill([ids])[0]).abs().max() < 1e-4


@some("lstm", "convolutional", "ngram", "table", "gpt2", fast="lstm")
def test_a_folder_is_the_policy_of_a_run_which_can_be_exported(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    export(trained(config_of(name), tmp_path / "run"), tmp_path / "out")
    algorithm = strop.algorithms.A2C.Config(optimizer=strop.optimizer.AdamW(lr=0.05))
    kind = strop.FromFolder(folder="out", value_head=True)
    if name == "gpt2":
        kind = strop.policies.Transformer.Config(model="out", lora=None, value_head=True)
    second = trained(kind, tmp_path / "second", algorithm=algorithm, dtype="float32")
    assert second.policy.has_values
    export(second, tmp_path / "valued")
    plain = trained("valued", tmp_path / "plain", dtype="float32")  # by its name, and the value head is gone
    assert not plain.policy.has_values
    if name != "gpt2":
        assert "Trained from `out`, which strop trained" in (tmp_path / "valued/README.md").read_text()
        kept, _ = strop.FromFolder(folder="valued", value_head=True).build(7, "float32")
        assert same(kept.state_dict(), second.policy.state_dict())


def test_dropout_is_for_the_run_that_pretrained(tmp_path: Path) -> None:
    run = on_text(config_of("lstm", words=(), tokenizer=tokenizer(), dropout=0.2), tmp_path / "run")
    export(run, tmp_path / "out")
    assert json.loads((tmp_path / "out/config.json").read_text())["policy"]["dropout"] == 0.0
    policy, _ = strop.FromFolder(folder=str(tmp_path / "out")).build(0, "float32")
    assert policy.dropout.share == 0.0
    with pytest.raises(ValueError, match=r"policy\.dropout=0\.2 is for pretraining"):
        trained(config_of("lstm", dropout=0.2), tmp_path / "sampled")
    steered = strop.policies.Steered.Config(base=config_of("gru", dropout=0.2, value_head=True))
    with pytest.raises(ValueError, match=r"policy\.dropout=0\.2 is for pretraining"):
        trained(steered, tmp_path / "steered")
    distilled = strop.algorithms.Distillation.Config(teacher=config_of("gru"))  # it learns from samples too
    with pytest.raises(ValueError, match=r"policy\.dropout=0\.2 is for pretraining"):
        trained(config_of("lstm", dropout=0.2), tmp_path / "distilled", algorithm=distilled, rewards=())


def test_chat_and_eval_read_it(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    export(trained(config_of("gru"), tmp_path / "run"), Path("out"))
    asked = ["--once", "red blue", "--temperature", "0", "--max-tokens", "3"]
    capsys.readouterr()
    assert main(["chat", "run", *asked]) == 0
    wanted = capsys.readouterr().out
    assert main(["chat", "out", *asked]) == 0
    assert capsys.readouterr().out == wanted
    Path("judge.py").write_text(RECIPE)
    assert main(["eval", "out", "--recipe", "judge.py", "--json"]) == 0
    assert "blue" in capsys.readouterr().out


RECIPE = """
import strop

def blue(task, episode):
    return float(episode.text == "blue")

def recipe():
    return strop.TrainConfig(
        policy="out", tasks=[strop.Task("1", "red")], held_out=[strop.Task("2", "green")], rewards=[blue], threads=1
    )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    made = tmp_path_factory.mktemp("saved")
    export(trained(config_of("gru"), made / "run"), made / "out")
    return Path(made / "out")


def _cut(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def _one_less(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop(min(tensors))
    save_file(tensors, folder / "model.safetensors")


def _other_format(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"strop_format": 1', '"strop_format": 99'))


def _wider(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["policy"]["width"] = 12
    (folder / "config.json").write_text(json.dumps(config))


def _unknown(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("Recurrent", "Recursive"))


def _no_class(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["policy"]["class"]
    (folder / "config.json").write_text(json.dumps(config))


def _no_config(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("strop.policies.Recurrent.Config", "os.getcwd"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_no_class, r"config\.json is damaged: its policy cannot be made"),
        (_no_config, r"config\.json is damaged: its policy cannot be made"),
        (_cut, r"model\.safetensors cannot be read"),
        (_one_less, r"model\.safetensors lacks 'dropout'"),
        (_other_format, r"config\.json has format 99, and this strop reads 1"),
        (_wider, r"the saved weights are of another shape: embedding\.weight"),
        (_unknown, r"has no 'Recursive'; did you mean Recurrent"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"model\.safetensors cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{"), "no folder that strop export wrote"),
        (lambda folder: shutil.rmtree(folder), "no folder that strop export wrote"),
    ],
)
def test_a_damaged_folder_is_named(folder: Path, tmp_path: Path, damage: Any, said: str) -> None:
    shutil.copytree(folder, tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(ValueError, match=said):
        strop.FromFolder(folder=str(tmp_path / "out")).build(0, "float32")


def test_a_changed_tokenizer_is_refused(tmp_path: Path) -> None:
    export(on_text(config_of("gru", words=(), tokenizer=tokenizer()), tmp_path / "run"), tmp_path / "out")
    (tmp_path / "out/tokenizer.json").write_text(tokenizer().json.replace('"a"', '"aa"', 1))
    with pytest.raises(ValueError, match=r"tokenizer\.json is not the tokenizer"):
        strop.FromFolder(folder=str(tmp_path / "out")).build(0, "float32")


def test_what_cannot_be_exported_says_why_and_leaves_nothing(tmp_path: Path, capsys: Any) -> None:
    steered = strop.policies.Steered.Config(base=config_of("gru", value_head=True))
    run = trained(steered, tmp_path / "run", algorithm=strop.algorithms.ILQL.Config())
    assert main(["export", str(run.path), str(tmp_path / "out")]) == 1
    assert "a Steered, which is two policies" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out*"))


def test_a_state_that_the_config_does_not_make_again_is_refused(tmp_path: Path) -> None:
    from strop.reports.model_card import card_of
    from strop.runs.saved import save

    run = trained(config_of("gru"), tmp_path / "run")
    card = card_of(run.directory, 2, run.parts.codec, run.config.sampling, "out")
    wrong = replace(config_of("gru"), kind="rnn")
    with pytest.raises(ValueError, match="of another shape"):
        save(wrong, run.policy, run.parts.codec, tmp_path / "out", card)
    assert not list(tmp_path.glob("*out*"))


def test_named_models_may_be_ours(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from strop.runs.trained import named_policy

    monkeypatch.setenv("STROP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, tmp_path / "models/mine")
    assert named_policy("mine") == strop.FromFolder(folder="mine")
    assert named_policy("other") == strop.policies.Transformer.Config(model="other")


@in_ci
def test_what_a_corpus_taught_is_exported_and_goes_on_from_its_folder(tmp_path: Path) -> None:
    from small_corpus import corpus, tiny

    def learnt(policy: Any, folder: Path) -> strop.Run:
        config = strop.pretraining(corpus(tmp_path), policy, steps=2)
        sampling = strop.Sampling(max_tokens=4)
        return strop.train(replace(config, sampling=sampling, eval_every=0, threads=1), folder, progress=False)

    export(learnt(tiny(), tmp_path / "run"), tmp_path / "out")
    assert "Trained from random weights" in (tmp_path / "out/README.md").read_text()
    before = loss(strop.Run(tmp_path / "run"))
    again = learnt(strop.FromFolder(folder=str(tmp_path / "out")), tmp_path / "again")
    assert loss(again, first=True) == before
    assert again.parts.codec.start("the king") == strop.Run(tmp_path / "run").parts.codec.start("the king")


def loss(run: strop.Run, first: bool = False) -> float:
    losses = [row["held_out/loss"] for row in run.metrics() if "held_out/loss" in row]
    return losses[0 if first else -1]
