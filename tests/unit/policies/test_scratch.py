"""Transformers from scratch: their shapes are those of transformers, and the default keeps its bits."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from strop.policies.encoder_decoder import EncoderDecoder
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.scratch import Scratch
from strop.process import seeded

WORDS = ("red", "blue", "green")


def test_the_default_is_the_llama_that_it_always_was() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=4,
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=3,
        pad_token_id=None,
        use_cache=True,
    )
    with seeded(7):
        wanted = LlamaForCausalLM(config)
    found = Scratch(words=WORDS).build(7, "float32")[0].model
    assert found.config.to_diff_dict() == wanted.config.to_diff_dict()
    for (name, a), (other, b) in zip(found.named_parameters(), wanted.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(a, b)


@pytest.mark.parametrize(("shape", "kind"), [("gpt2", "GPT2LMHeadModel"), ("qwen3", "Qwen3ForCausalLM")])
def test_another_shape_is_transformers_own(shape: str, kind: str) -> None:
    policy, codec = Scratch(words=WORDS, shape=shape, width=16, num_heads=2, num_layers=3, context=9).build(
        0, "float32"
    )
    model, config = policy.model, policy.model.config
    assert type(model).__name__ == kind
    assert (config.hidden_size, config.num_attention_heads, config.num_hidden_layers) == (16, 2, 3)
    assert (config.max_position_embeddings, config.eos_token_id, policy.context) == (9, codec.end, 9)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert not [m for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p > 0]
    if shape == "qwen3":
        assert config.head_dim == 8
        assert model.model.layers[0].self_attn.q_norm.weight.shape == (8,)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [("t5", "T5ForConditionalGeneration"), ("bart", "BartForConditionalGeneration"), ("marian", "MarianMTModel")],
)
def test_a_shape_with_an_encoder_is_an_encoder_decoder(shape: str, kind: str) -> None:
    policy, codec = Scratch(words=WORDS, shape=shape, width=16, num_heads=2, num_layers=3, context=9).build(  # type: ignore[arg-type]
        0, "float32"
    )
    model, config = policy.model, policy.model.config
    assert isinstance(policy, EncoderDecoder)
    assert type(model).__name__ == kind
    assert (config.d_model, config.num_attention_heads, config.decoder_start_token_id) == (16, 2, codec.end)
    layers = [name for name, _ in model.named_modules() if name.endswith((".2", ".3")) and name.count(".") < 4]
    assert sorted(name.split("coder")[0][-2:] for name in layers if name.endswith(".2")) == ["de", "en"]
    assert not [name for name in layers if name.endswith(".3")]
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert not [m for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p > 0]
    assert policy.context == (None if shape == "t5" else 9)
    assert Scratch(words=WORDS, has_end=False, shape=shape).build(0, "float32")[0].runner.start == (0,)  # type: ignore[arg-type, attr-defined]


def test_an_encoder_has_the_shape_it_is_asked_for() -> None:
    policy, codec = Scratch(words=WORDS, shape="bert", num_layers=3, width=16, num_heads=2, context=9).build(
        0, "float32"
    )
    assert isinstance(policy, MaskedEncoder)
    config = policy.model.config
    assert (config.hidden_size, config.num_hidden_layers, config.intermediate_size) == (16, 3, 64)
    assert (config.num_attention_heads, config.max_position_embeddings, config.type_vocab_size) == (2, 9, 2)
    assert config.vocab_size == len(WORDS) + 2  # `<end>` and the mask
    assert policy.marks.mask == len(WORDS) + 1
    assert codec.end == policy.marks.begin == len(WORDS)
    assert policy.model.get_output_embeddings().weight is policy.model.get_input_embeddings().weight
    assert not [m for m in policy.model.modules() if isinstance(m, torch.nn.Dropout) and m.p > 0]
    assert policy.model.bert.embeddings.word_embeddings.padding_idx is None  # token 0 is a word, and learns


@pytest.mark.parametrize("shape", ["bert", "modernbert"])
def test_an_encoder_knows_nothing_at_first_and_its_layers_do_something(shape: Any) -> None:
    policy, codec = Scratch(words=WORDS, shape=shape, num_layers=3, width=16, num_heads=2, context=9).build(
        0, "float32"
    )
    assert isinstance(policy, MaskedEncoder)
    assert policy.model.config.num_hidden_layers == 3
    assert policy.context == 9 - 3
    assert policy.marks.mask == len(WORDS) + 1 == policy.model.config.vocab_size - 1
    assert not [m for m in policy.model.modules() if isinstance(m, torch.nn.Dropout) and m.p > 0]
    assert policy.model.get_output_embeddings().weight is policy.model.get_input_embeddings().weight
    rows = torch.tensor([(*codec.start(WORDS[0]), *codec.encode(WORDS[i])) for i in (0, 1)])
    vectors_BTH = policy.encode(rows, torch.tensor([4, 4]), policy.marks.types(rows))
    logits_BTV = policy.encoder.head(vectors_BTH.flatten(0, 1))
    entropy = torch.distributions.Categorical(logits=logits_BTV).entropy().mean().item()
    assert entropy == pytest.approx(math.log(len(WORDS) + 2), abs=0.1)
    # the vector of the first word depends on the last one, and not by a rounding error
    assert (vectors_BTH[0, 1] - vectors_BTH[1, 1]).norm() > 0.01 * vectors_BTH[0, 1].norm()


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"policy\.shape='rnn': it is one of llama, gpt2, qwen3, t5"):
        Scratch(words=WORDS, shape="rnn")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"policy\.width=10 must be a multiple of policy\.num_heads=4"):
        Scratch(words=WORDS, width=10)
    for name in ("num_layers", "width", "num_heads", "context"):
        with pytest.raises(ValueError, match=rf"policy\.{name}=0: it is at least 1"):
            Scratch(words=WORDS, **{name: 0})
    with pytest.raises(ValueError, match=r"policy\.width=6: 2 heads have 3 numbers each, and rotary positions turn pa"):
        Scratch(words=WORDS, width=6, num_heads=2)
    assert Scratch(words=WORDS, shape="gpt2", width=6, num_heads=2).build(0, "float32")[0].vocabulary == 4
    with pytest.raises(ValueError, match="neither of them is given"):
        Scratch().build(0, "float32")
