"""Folders of masked language models: those of others that can be read, and those that are written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertModel

import tiny_bert
import tiny_hf
from strop.hub.card import Card, Usage
from strop.hub.form import form_in
from strop.hub.origin import FROM_SCRATCH
from strop.policies.adapters import LoRA
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.transformer import Transformer
from strop.types import Sampling


@pytest.fixture
def card() -> Card:
    usage = Usage(prompt="", systems=(), sampling=Sampling())
    return Card(
        title="mine",
        origin=FROM_SCRATCH,
        algorithm="MaskedLM",
        command="",
        steps=3,
        verdicts=(),
        strop="0",
        usage=usage,
    )


@pytest.mark.parametrize("lora", [None, LoRA(rank=2)])
@pytest.mark.parametrize("kind", tiny_bert.KINDS)
def test_an_exported_folder_has_the_policy_s_logits(tmp_path: Path, kind: str, lora: LoRA | None, card: Card) -> None:
    folder = str(tiny_bert.make(tmp_path / "theirs", kind))
    assert form_in(folder) == "masked"
    policy, codec = MaskedEncoder.Config(model=folder, lora=lora).build(0, "float32")
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    assert policy.export(codec, tmp_path / "ours", card) < 1e-5
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(tmp_path / "ours"), AutoTokenizer.from_pretrained(folder)
    before = AutoModelForMaskedLM.from_pretrained(folder)
    inputs = tokenizer(["the cat [MASK] on a mat", "a dog"], return_tensors="pt", padding=True)
    stands_BT = inputs["attention_mask"].bool()
    exported_BTV, ours_BTV = (one.eval()(**inputs).logits for one in (model, policy.model))
    assert (exported_BTV - ours_BTV)[stands_BT].abs().max() < 1e-4
    assert (exported_BTV - before.eval()(**inputs).logits)[stands_BT].abs().max() > 1e-2  # it has learnt something
    again, _ = MaskedEncoder.Config(model=str(tmp_path / "ours"), lora=None).build(0, "float32")
    assert again.marks == policy.marks


def test_a_head_has_no_place_in_a_folder(tmp_path: Path, card: Card) -> None:
    policy, codec = MaskedEncoder.Config(model=str(tiny_bert.make(tmp_path / "bert")), value_head=True).build(
        0, "float32"
    )
    with pytest.raises(ValueError, match="has no place in a masked model's folder"):
        policy.export(codec, tmp_path / "ours", card)
    assert not (tmp_path / "ours").exists()


def test_models_of_another_form_are_named(tmp_path: Path) -> None:
    bert, llama = str(tiny_bert.make(tmp_path / "bert")), str(tiny_hf.make(tmp_path / "llama"))
    with pytest.raises(ValueError, match=r"holds a masked model \(bert\).*strop\.policies\.MaskedEncoder\.Config"):
        Transformer.Config(model=bert).build(0, "float32")
    with pytest.raises(ValueError, match=r"holds a causal model \(llama\).*strop\.policies\.Transformer\.Config"):
        MaskedEncoder.Config(model=llama).build(0, "float32")


def test_an_encoder_without_an_output_head_is_named(tmp_path: Path) -> None:
    folder = tiny_bert.make(tmp_path / "bert")
    BertModel.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(ValueError, match=r"missing \(cls\.predictions.*It was saved as BertModel"):
        MaskedEncoder.Config(model=str(folder)).build(0, "float32")


def test_a_tokenizer_without_a_mask_is_named(tmp_path: Path) -> None:
    folder = tiny_bert.make(tmp_path / "bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(ValueError, match="has no mask_token"):
        MaskedEncoder.Config(model=str(folder)).build(0, "float32")
