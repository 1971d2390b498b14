"""A layer's own forward pass has the bits of transformers' module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from exact.build import language_model, policy_over
from strop.compute.fast_layer import FastLayer
from strop.compute.fast_runner import MODEL_TYPES
from strop.compute.linears import Linears
from strop.policies.adapters import LoRA

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "a wide head": {"head_dim": 8},
    "another activation": {"hidden_act": "gelu"},
    "one key head": {"key_heads": 1},
}


def attend(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    out = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)
    return out.transpose(1, 2).flatten(2)


def both(model: Any, dtype: torch.dtype = torch.float32) -> tuple[list[Tensor], list[Tensor]]:
    """What each layer makes of the same states [2, 5, H]: ours and transformers'."""
    torch.manual_seed(0)
    backbone, states = model.base_model, torch.randn(2, 5, model.config.hidden_size)
    rotation = backbone.rotary_emb(states, torch.arange(5).unsqueeze(0))
    ours = [FastLayer(layer, dtype).forward(states, rotation, Linears.train, attend) for layer in backbone.layers]
    theirs = [layer(states, position_embeddings=rotation, attention_mask=None) for layer in backbone.layers]
    return ours, theirs


@torch.no_grad()
@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_every_kind(kind: str) -> None:
    for ours, theirs in zip(*both(language_model(kind)), strict=True):
        assert torch.equal(ours, theirs)


@torch.no_grad()
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_every_option(options: dict[str, Any]) -> None:
    for ours, theirs in zip(*both(language_model(**options)), strict=True):
        assert torch.equal(ours, theirs)


@torch.no_grad()
def test_the_first_layer_of_smollm3_ignores_positions_and_the_second_does_not() -> None:
    model = language_model("smollm3")
    assert [FastLayer(layer, torch.float32).is_rotated for layer in model.model.layers] == [False, True]


@torch.no_grad()
@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "down_proj")], ids=["all", "some"])
def test_adapters_and_what_is_under_them(targets: Any) -> None:
    model = policy_over(language_model(), LoRA(rank=2, alpha=4, targets=targets)).model
    ours, theirs = both(model)
    base, _ = both(language_model())
    states, rotation = torch.randn(2, 5, 24), (torch.ones(1, 5, 4), torch.zeros(1, 5, 4))
    for found, expected, unlike, layer, plain in zip(
        ours, theirs, base, model.model.layers, language_model().model.layers, strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        assert not torch.allclose(found, unlike, atol=0.05)
        off = FastLayer(layer, torch.float32).without_adapters()
        assert torch.equal(
            off.forward(states, rotation, Linears.train, attend),
            FastLayer(plain, torch.float32).forward(states, rotation, Linears.train, attend),
        )
