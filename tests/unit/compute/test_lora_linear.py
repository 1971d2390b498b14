"""Layers and their adapters in two multiplications compute what peft computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from exact.build import language_model
from strop.compute import packed_linear as packed
from strop.compute.lora_linear import LoRALinear, fuse_lora
from strop.compute.packed_linear import FusedPart, can_pack
from strop.compute.padded_decoder import PaddedState
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer, adapt

pytestmark = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")
PROMPTS = [(1, 2, 3), (4,)]


@pytest.fixture(autouse=True)
def however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix is packed."""
    monkeypatch.setattr(packed, "FEWEST", 1)


def policy(targets: tuple[str, ...] | str = "all-linear", dtype: str = "float32", bias: bool = True) -> Transformer:
    model = language_model("llama", heads=4, inner=20, attention_bias=bias, mlp_bias=bias)
    one = adapt(model, LoRA(rank=3, alpha=2, targets=targets), 0, dtype)
    stir(one)
    return one


def stir(one: Transformer) -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.normal_(std=0.5)


def logits(model: object, dtype: str = "float32") -> Tensor:
    """Of two tokens, by transformers' own pass."""
    logits_BV, state = PaddedState.prefill(model, PROMPTS, dtype)
    return torch.stack([logits_BV, state.step(torch.tensor([1, 2]))])


def linears(one: Transformer) -> list[LoRALinear]:
    assert one._decoding is not None
    return [fused for fused in one._decoding.linears if isinstance(fused, LoRALinear)]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_the_output_is_that_of_peft_after_every_change(bias: bool) -> None:
    one = policy(bias=bias)
    for _ in range(2):
        torch.testing.assert_close(logits(one.decoding_model()), logits(one.model), rtol=0, atol=2e-5)
        stir(one)
    assert [len(fused.widths) for fused in linears(one)] == [3, 1, 2, 1] * 2
    assert all(fused.is_trainable for fused in linears(one))


def test_layers_without_an_adapter_stand_for_themselves() -> None:
    one = policy(targets=("q_proj", "v_proj", "down_proj"))
    torch.testing.assert_close(logits(one.decoding_model()), logits(one.model), rtol=0, atol=2e-5)
    assert [len(fused.widths) for fused in linears(one)] == [2, 1] * 2
    left = [module for module in one.decoding_model().modules() if type(module) is torch.nn.Linear]
    assert left == []


def test_in_bfloat16_the_gap_is_rounding() -> None:
    one = policy(dtype="bfloat16")
    exact = logits(one.model)
    found = logits(one.decoding_model(), "bfloat16")
    assert 1e-3 < (found - exact).abs().max() < 0.05 * exact.abs().max()


def test_the_parts_of_an_adapter_are_scaled_and_do_not_mix() -> None:
    one = policy()
    layer = one.model.model.layers[0].self_attn
    peft = [layer.q_proj, layer.k_proj, layer.v_proj]
    (fused,) = fuse_lora(peft, torch.float32, one.model.lm_head)
    fused.refresh()
    given = torch.randn(5, 16)
    for index, alone in enumerate(peft):
        torch.testing.assert_close(FusedPart(fused, index)(given), alone(given), rtol=0, atol=1e-5)
    fused.release()
    assert fused.weight is None
    assert fused.scaled_b_RO is None


def test_other_types_and_an_adapted_head_are_left_to_peft() -> None:
    one = policy()
    layers, head = [one.model.model.layers[0].mlp.down_proj], one.model.lm_head
    assert len(fuse_lora(layers, torch.float32, head)) == 1
    assert fuse_lora(layers, torch.float32, layers[0].get_base_layer()) == []
    layers[0].double()
    assert fuse_lora(layers, torch.float32, head) == []


def test_small_ones_stay_with_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FEWEST", 2**18)
    one = policy()
    torch.testing.assert_close(logits(one.decoding_model()), logits(one.model), rtol=0, atol=2e-5)
    assert linears(one) == []
