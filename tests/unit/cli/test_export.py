import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_hf
from strop.runs.directory import RunDirectory

STEPS = ("steps=2", "algorithm.optimizer.lr=0.05", "sampling.max_tokens=3")


@pytest.mark.matrix
@pytest.mark.parametrize("lora", ["lora", "full"])
def test_exported_folder_gives_the_logits_of_the_policy(strop, table_recipe, tiny_model, tmp_path, lora):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from strop.run import Run

    adapter = [] if lora == "lora" else ["policy.lora=none"]
    recipe = table_recipe(reward="lambda task, episode: float(len(episode.text))")
    assert strop("train", recipe, f"policy={tiny_model}", *adapter, *STEPS, "--run", "r").code == 0
    said = strop("export", "r", "out")
    assert (said.code, said.out) == (0, "out\n"), said.err
    assert "Loading" not in said.err  # no progress bars
    policy, codec, _ = Run(RunDirectory(tmp_path / "r")).actor()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    tokens_BT = torch.tensor([codec.start("the cat sat on the mat")])
    with torch.no_grad():
        ours, theirs = policy.model(input_ids=tokens_BT).logits, model(input_ids=tokens_BT).logits
        base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)(input_ids=tokens_BT).logits
    assert (ours - theirs).abs().max() < 1e-4
    assert (theirs - base).abs().max() > 1e-3  # it did learn something
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.chat_template == codec.tokenizer.chat_template
    generation = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert generation["eos_token_id"] == codec.end
    card = (tmp_path / "out/README.md").read_text()
    assert "| reward |" in card
    assert "strop train mine.py policy=tiny" in card
    chat = strop("chat", "out", "--once", "the cat", "--max-tokens", 3, "--seed", 1)
    assert chat.code == 0


def test_a_word_transformer_is_exported_with_its_words(strop, table_recipe):
    recipe = table_recipe(replace=[("Table.Config", "Scratch")])
    assert strop("train", recipe, "steps=1", "--run", "r").code == 0
    assert strop("export", "r", "out").code == 0
    own = strop("chat", "r", "--once", "a b", "--temperature", 0, "--max-tokens", 4)
    exported = strop("chat", "out", "--once", "a b", "--temperature", 0, "--max-tokens", 4)
    assert exported.code == 0, exported.err
    assert exported.out == own.out
    unknown = strop("chat", "out", "--once", "zebra")
    assert unknown.code == 1
    assert "Traceback" not in unknown.err


def test_export_never_writes_into_a_folder_with_files(strop, table_recipe, tmp_path):
    assert strop("train", table_recipe(replace=[("Table.Config", "Scratch")]), "steps=1", "--run", "r").code == 0
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    assert strop("export", "r", "out").code == 1
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert not list(tmp_path.glob(".writing*"))


def test_a_folder_may_be_named_by_a_dot(strop, table_recipe, tmp_path, monkeypatch):
    assert strop("train", table_recipe(replace=[("Table.Config", "Scratch")]), "steps=1", "--run", "r").code == 0
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert strop("export", "../r", ".").code == 0
    assert "# mine\n" in (tmp_path / "mine/README.md").read_text()


def test_a_reward_model_has_no_folder(strop, table_recipe, tmp_path):
    recipe = table_recipe(
        replace=[
            ("has_end=True)", "has_end=True, value_head=True)"),
            ("Table.Config", "Scratch"),
            ("REINFORCE", "RewardModel"),
            (
                'strop.Task("one", "a"), strop.Task("two", "b")',
                'strop.Task("one", "a", data={"chosen": "a", "rejected": "b"})',
            ),
            ('strop.Task("three", "a"), strop.Task("four", "b b")', ""),
        ]
    )
    assert strop("train", recipe, "steps=1", "--run", "r").code == 0
    said = strop("export", "r", "out")
    assert said.code == 1
    assert "trained a reward model" in said.err
    assert not (tmp_path / "out").exists()


def test_settings_of_the_base_are_kept(strop, table_recipe, tmp_path):
    """An output head that is no embedding though the config ties them, two stop tokens, and settings of generation
    that transformers reads and would not save."""
    from transformers import AutoModelForCausalLM

    folder = tiny_hf.make(tmp_path / "tiny")
    weights = {name: weight.clone() for name, weight in load_file(folder / "model.safetensors").items()}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].flip(0)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    generation = {"eos_token_id": [2, 5], "temperature": 0.6, "top_p": 0.9}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    assert strop("train", table_recipe(), "policy=tiny", "steps=1", "--run", "r").code == 0
    said = strop("export", "r", "out")
    assert said.code == 0, said.err
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])
    written = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert [written[name] for name in ("eos_token_id", "temperature", "top_p", "max_new_tokens")] == [
        [2, 5],
        1.0,
        1.0,
        1,
    ]
