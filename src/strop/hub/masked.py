"""A masked language model as a Hugging Face folder, which AutoModelForMaskedLM and AutoTokenizer load."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from strop.hub.card import Card, as_markdown_of_masked
from strop.hub.export import are_tied, relative_gap, written
from strop.hub.models import quiet
from strop.hub.origin import CARD


def export_masked(model: Any, weights: Mapping[str, Tensor], tokenizer: Any, folder: Path, card: Card) -> float:
    """Write `folder`, which must not exist or be empty, load it again, and return how far its logits are off.

    `model` may hold adapters: `weights` are those of a plain model that computes the same.
    """

    def write(beside: Path) -> None:
        config = copy.deepcopy(model.config)
        config.tie_word_embeddings = are_tied(model)
        with quiet():
            with torch.random.fork_rng(devices=[]):
                plain: Any = type(model)._from_config(config, dtype=torch.float32)
            plain.load_state_dict(weights)
            plain.tie_weights()
            plain.save_pretrained(beside)
            _readable(tokenizer).save_pretrained(beside)
        (beside / CARD).write_text(as_markdown_of_masked(card, tokenizer.mask_token), encoding="utf-8")

    return written(folder, write, lambda beside: _gap(model, beside))


def _readable(tokenizer: Any) -> Any:
    """A copy for which the mask in a text is the mask: while training it is text like any other."""
    copied = copy.deepcopy(tokenizer)
    copied.split_special_tokens = False
    return copied


@torch.no_grad()
def _gap(model: Any, folder: Path) -> float:
    """The `relative_gap` between the model and the folder's, in float32 on the model's device."""
    from transformers import AutoModelForMaskedLM

    tokens_1T = torch.arange(8, device=model.device).remainder(model.config.vocab_size).unsqueeze(0)
    with quiet():
        again: Any = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval().to(model.device)
    return relative_gap(model(input_ids=tokens_1T).logits, again(input_ids=tokens_1T).logits)
