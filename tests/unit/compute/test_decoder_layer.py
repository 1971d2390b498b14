"""The operations of one token's layer: norms and rotation beside their formulas."""

from __future__ import annotations

import pytest
import torch

from exact.build import language_model
from strop.compute.decoder_layer import DecoderLayer, RMSNorm, RotaryEmbedding
from strop.compute.fast_layer import FastLayer

POSITIONS = torch.tensor([[3], [0], [70]])


@pytest.mark.parametrize("scale", [1e-12, 1e-2, 1.0, 1e4])
def test_numbers_are_divided_by_their_root_mean_square_and_epsilon(scale: float) -> None:
    source = torch.nn.RMSNorm(12)
    torch.nn.init.uniform_(source.weight)
    source.variance_epsilon = 1e-5
    x = scale * torch.randn(3, 2, 12)
    square = x.double().square().mean(dim=-1, keepdim=True)
    expected = x.double() / (square + 1e-5).sqrt() * source.weight.double()
    torch.testing.assert_close(RMSNorm(source)(x).double(), expected, rtol=1e-5, atol=0)


def test_a_norm_keeps_the_weights_of_when_it_was_made() -> None:
    source = torch.nn.RMSNorm(12)
    source.variance_epsilon = 1e-5
    norm, x = RMSNorm(source), torch.randn(3, 12)
    before = norm(x)
    torch.nn.init.zeros_(source.weight)
    assert torch.equal(norm(x), before)


@torch.no_grad()
def test_pairs_are_turned_by_their_position_s_angle_and_queries_scaled() -> None:
    model = language_model()  # 6 heads, 2 key heads of width 4
    attention = model.model.layers[0].self_attn
    states_BXD = torch.randn(3, 10, 4)
    rotary = RotaryEmbedding(attention, *model.model.rotary_emb(states_BXD, POSITIONS))
    frequency_D = model.model.rotary_emb.inv_freq.double()  # of the pairs (0, 2) and (1, 3)
    angle_B2 = POSITIONS * frequency_D
    low, high = states_BXD[..., :2].double(), states_BXD[..., 2:].double()
    cos, sin = angle_B2.cos().unsqueeze(1), angle_B2.sin().unsqueeze(1)
    turned_BXD = torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)
    scale_X1 = torch.tensor([4**-0.5] * 6 + [1.0] * 4).unsqueeze(1)
    expected = torch.cat([turned_BXD[:, :8], states_BXD[:, 8:].double()], dim=1) * scale_X1
    torch.testing.assert_close(rotary.rotate(states_BXD).double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(rotary.scale(states_BXD), states_BXD * scale_X1)


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2, 6])
def test_query_heads_stand_with_their_key_head(heads: int) -> None:
    model = language_model(key_heads=heads)
    layer, hidden_BH = FastLayer(model.model.layers[0], torch.float32), torch.randn(3, 24)
    rotary = RotaryEmbedding(
        layer_attention := model.model.layers[0].self_attn, torch.ones(3, 1, 4), torch.zeros(3, 1, 4)
    )
    query_KBRD, kv_2KBD = DecoderLayer(layer).query_and_kv(hidden_BH, rotary)
    query_BHD = layer_attention.q_proj(hidden_BH).view(3, 6, 4) * 4**-0.5
    assert query_KBRD.shape == (heads, 3, 6 // heads, 4)
    torch.testing.assert_close(query_KBRD.permute(1, 0, 2, 3).reshape(3, 6, 4), query_BHD)
    for found, projection in zip(kv_2KBD, (layer_attention.k_proj, layer_attention.v_proj), strict=True):
        torch.testing.assert_close(found.transpose(0, 1), projection(hidden_BH).view(3, heads, 4))
