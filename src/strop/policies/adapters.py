"""LoRA adapters by peft: the base is frozen, and with the adapters off it is the reference, at no extra memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from strop.process import seeded
from strop.types import check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRA:
    """LoRA (2106.09685): a trainable low-rank update of frozen weights.

    rank        rank of the update
    alpha       the update is scaled by alpha / rank
    targets     names of the modules to adapt, or "all-linear"
    num_layers  adapts only so many last layers: the backward pass stops there, which saves much of its time;
                none adapts all layers
    """

    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] | str = "all-linear"
    num_layers: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.rank < 1:
            raise ValueError(f"policy.lora.rank={self.rank}: it is at least 1; policy.lora=none trains all weights.")
        if self.num_layers is not None and self.num_layers < 1:
            raise ValueError(f"policy.lora.num_layers={self.num_layers}: it is at least 1, or none for all layers.")


def add_lora(model: Any, lora: LoRA, seed: int) -> None:
    """Add adapters to a Hugging Face model, in place. B starts at 0, so the model's output does not change."""
    from peft import LoraConfig, inject_adapter_in_model

    total = model.config.num_hidden_layers
    layers = None if lora.num_layers is None else list(range(max(total - lora.num_layers, 0), total))
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),  # GPT-2's layers
        target_modules=[lora.targets] if isinstance(lora.targets, str) else list(lora.targets),
        exclude_modules=["lm_head"] if lora.targets == "all-linear" else None,
        layers_to_transform=layers if lora.targets != "all-linear" else None,
    )
    if lora.targets == "all-linear":
        config.target_modules = _linear_names(model, layers)
        config.exclude_modules = None
    with seeded(seed):  # peft draws A from the global generator
        inject_adapter_in_model(config, model)


def with_adapter(model: Any, lora: LoRA | None, seed: int) -> Any:
    """The model, its base frozen under an adapter; without one everything trains."""
    if lora is not None:
        model.requires_grad_(False)
        add_lora(model, lora, seed)  # on the CPU: random weights are the same on every device
    return model


def _linear_names(model: Any, layers: list[int] | None) -> list[str]:
    """Full names of the linear modules in these layers (None: in all), without the output head."""
    head = model.get_output_embeddings()
    names = [
        name
        for name, module in model.named_modules()
        if (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D") and module is not head
    ]
    wanted = None if layers is None else {str(layer) for layer in layers}
    kept = [name for name in names if wanted is None or _layer_of(name) in wanted]
    if not kept:
        raise ValueError("policy.lora.targets='all-linear' found no linear module in this model: name them instead.")
    return kept


def _layer_of(name: str) -> str | None:
    """The layer's number in a module's name: the first one (a T5 block numbers its parts too)."""
    return next((part for part in name.split(".") if part.isdigit()), None)


def merged_state_dict(model: Any) -> dict[str, torch.Tensor]:
    """The weights with every adapter merged, under the names of the plain model; the model does not change."""
    from peft.tuners.lora import LoraLayer

    deltas = {
        name: module.get_delta_weight("default")
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }
    merged: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        owner = name.removesuffix(".base_layer.weight")
        merged[plain] = tensor + deltas[owner].to(tensor.dtype) if owner in deltas and owner != name else tensor
    return merged


@torch.no_grad()
def merge_in_place(model: Any) -> None:
    """Make a model with adapters a plain one that computes the same: each adapter is added to its base's weights.

    Weights that were tied to those are not any more: the adapter was on one of the two.
    """
    from peft.tuners.lora import LoraLayer

    adapted = [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]
    for name, module in adapted:
        base = module.get_base_layer()
        base.weight = torch.nn.Parameter(base.weight.clone())
        module.merge()
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, base)
    if adapted:
        del model.peft_config  # peft's mark of a model with adapters
    for module in model.modules():
        is_table = "Sinusoidal" in type(module).__name__  # positions of a formula, which nothing trains
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(not is_table)
