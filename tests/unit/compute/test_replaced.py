"""A model with other modules in it: the same tensors, and the first one stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from exact.build import language_model, policy_over
from strop.compute.kept import Kept
from strop.compute.replaced import KeptLinear, replaced
from strop.policies.adapters import LoRA


class Zero(nn.Module):
    """Gives zeros."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
def test_parameters_and_buffers_are_the_source_s_own(lora: LoRA | None) -> None:
    source = policy_over(language_model(tie_word_embeddings=True), lora).model
    model = replaced(source, lambda module: None)
    assert model is not source
    for ours, theirs in (
        (model.named_parameters(remove_duplicate=False), source.named_parameters(remove_duplicate=False)),
        (model.named_buffers(), source.named_buffers()),
    ):
        first, second = dict(ours), dict(theirs)
        assert first.keys() == second.keys()
        assert all(first[name] is second[name] for name in first)
    assert not {id(one) for one in model.modules()} & {id(one) for one in source.modules()}
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(tokens).logits, source(tokens).logits)


def test_a_module_is_replaced_whole_and_the_source_keeps_its_own() -> None:
    source = language_model()
    seen: list[nn.Module] = []

    def without_mlp(module: nn.Module) -> nn.Module | None:
        seen.append(module)
        return Zero() if type(module).__name__ == "LlamaMLP" else None

    model = replaced(source, without_mlp)
    assert [type(layer.mlp).__name__ for layer in model.model.layers] == ["Zero"] * 2
    assert [type(layer.mlp).__name__ for layer in source.model.layers] == ["LlamaMLP"] * 2
    assert sum(isinstance(module, nn.Linear) for module in seen) == 2 * 4 + 1  # nothing in the MLPs
    tokens = torch.tensor([[1, 2, 3]])
    assert not torch.allclose(model(tokens).logits, source(tokens).logits, atol=0.05)


def test_a_kept_linear_layer_asks_for_its_product_each_time() -> None:
    own, rows = nn.Linear(3, 2), torch.randn(4, 3)
    layer = KeptLinear(own, Kept([own.weight], lambda: own.weight.detach().clone().t().__rmatmul__))
    for _ in range(2):
        torch.testing.assert_close(layer(rows), rows @ own.weight.t())
        with torch.no_grad():
            own.weight.add_(1)
    assert layer.weight is own.weight
    assert [*layer.parameters()] == []
