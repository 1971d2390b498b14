"""A bidirectional encoder and its own output head: transformers' forward pass, on any device and for any such model."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from strop.compute.plain_runner import views_of
from strop.compute.precision import autocast

EXACT = 1e-3
"""By how much logits that are read at the output head may differ from the model's own."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Rows padded on the right, attention by SDPA, and autocast for bfloat16; the output weights are never rounded.

    body       from tokens to vectors; on a processor its layers multiply as is fastest there
    head       from vectors [N, H] to logits [N, V], in float32
    num_types  the kinds of segments that it tells apart
    """

    dtype: torch.dtype
    body: Any
    head: Head
    num_types: int

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype, has_products: bool) -> Encoder:
        """An encoder of this model. Raises ValueError for one whose logits are not those of its head."""
        _, training = views_of(model, dtype, has_products)
        found = cls(dtype, training.base_model, Head.of(training), model.config.to_dict().get("type_vocab_size", 0))
        _check(model, cls(torch.float32, model.base_model, Head.of(model), found.num_types))
        return found

    def encode(self, tokens_BT: Tensor, length_B: Tensor, type_BT: Tensor) -> Tensor:
        """The vectors [B, T, H] of rows of these lengths (on the CPU); each is of the whole row. Differentiable.

        A model that tells no segments apart does not read the types.
        """
        device, width = self.body.device, tokens_BT.shape[1]
        mask_BT = torch.arange(width) < length_B.unsqueeze(1)
        inputs = {"input_ids": tokens_BT.to(device)}
        if not mask_BT.all():
            inputs["attention_mask"] = mask_BT.long().to(device)
        if self.num_types > 1:
            inputs["token_type_ids"] = type_BT.to(device)
        with autocast(self.dtype, device.type):
            vectors_BTH: Tensor = self.body(**inputs).last_hidden_state
        return vectors_BTH.float()


def num_positions(model: Any) -> int | None:
    """The most tokens that it reads; None without a limit. RoBERTa counts positions from behind its padding's id."""
    most: int | None = model.config.to_dict().get("max_position_embeddings")
    tables = [table for name, table in model.named_modules() if name.endswith("position_embeddings")]
    unused = [table.padding_idx + 1 for table in tables if table.padding_idx is not None]
    return None if most is None else most - max(unused, default=0)


class Given(nn.Module):
    """Stands in the place of a model's body: gives out what was handed in."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=inputs_embeds)


@dataclass(frozen=True, slots=True)
class Head:
    """A model's own output head, whatever its layers are: the model with its body taken out. It shares all modules."""

    model: Any

    @classmethod
    def of(cls, model: Any) -> Head:
        headless = copy.copy(model)
        headless._modules = {**model._modules, model.base_model_prefix: Given()}
        return cls(headless)

    def __call__(self, vectors_NH: Tensor) -> Tensor:
        logits_NV: Tensor = self.model(inputs_embeds=vectors_NH.unsqueeze(0)).logits.squeeze(0)
        return logits_NV


@torch.no_grad()
def _check(model: Any, encoder: Encoder) -> None:
    """Compare the logits of three tokens with the model's own."""
    tokens_1T = torch.tensor([[1, 2, 3]], device=model.device) % model.config.vocab_size
    vectors_1TH = encoder.encode(tokens_1T, torch.tensor([3]), torch.zeros_like(tokens_1T))
    gap = (encoder.head(vectors_1TH[0]) - model(input_ids=tokens_1T).logits[0]).abs().max().item()
    if gap > EXACT:
        raise ValueError(
            f"this {type(model).__name__} makes its logits in another way than from its encoder's last vectors (they "
            f"differ by {gap:.3g}), and strop cannot train it."
        )
