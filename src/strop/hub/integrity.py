"""Whether a loaded model is complete: all its weights from its files, all of them finite, and a tokenizer that fits.

transformers sets missing weights to random numbers, and drops those that the model does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from strop.hub.folder import tokenizer_file, weights_file

CONSTANTS = (
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    ".rotary_emb.inv_freq",
    ".position_ids",
)
"""Ends of the names of masks and positions, which older versions of transformers saved beside the weights."""
NEXT_SENTENCE = (
    ".pooler.dense.weight",
    ".pooler.dense.bias",
    "cls.seq_relationship.weight",
    "cls.seq_relationship.bias",
)
"""Ends of the names of BERT's other output head, which its published folders hold and a masked model has no use for."""
MOST_NAMES = 3


def check_weights(place: str | Path, model: Any, found: Mapping[str, Any], spare: tuple[str, ...] = ()) -> None:
    """Refuse weights that are missing, left over, of another shape or not finite. `found` is transformers' report;
    names that end with one of `spare` may be left over."""
    if model._hf_peft_config_loaded:
        raise ValueError(f"{place} is an adapter of peft: merge it into its base first (merge_and_unload).")
    faults = {
        "missing": sorted(found["missing_keys"]),
        "left over": sorted(name for name in found["unexpected_keys"] if not name.endswith((*CONSTANTS, *spare))),
        "of another shape": [
            f"{name} is {list(saved)}, not {list(own)}" for name, saved, own in sorted(found["mismatched_keys"])
        ],
    }
    if any(faults.values()):
        summary = ", ".join(f"{_count(names)} {fault} ({_some(names)})" for fault, names in faults.items() if names)
        raise ValueError(
            f"{_weights(place)} does not hold the {type(model).__name__} that its config.json describes: "
            f"{summary}.{_saved_as(model)} Get the whole model again, or correct config.json."
        )
    _check_finite(place, model)


def check_tokenizer(place: str | Path, model: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer with an id that the model has no embedding for."""
    ids: dict[str, int] = tokenizer.get_vocab()
    size = model.get_input_embeddings().weight.shape[0]
    beyond = sorted((token for token in ids if ids[token] >= size), key=ids.__getitem__)
    if beyond:
        file = tokenizer_file(place) if isinstance(place, Path) else place
        raise ValueError(
            f"the tokenizer {file} is larger than the model, which has embeddings for {size} tokens: {len(beyond)} "
            f"more ({_some([repr(token) for token in beyond])}). Take the model's own tokenizer, or enlarge the model "
            "(resize_token_embeddings, then save_pretrained)."
        )


def stop_tokens(place: str | Path, model: Any) -> list[int]:
    """Every end-of-text id of the generation config: a number, a list, or nothing."""
    given = None if model.generation_config is None else model.generation_config.eos_token_id
    stop = given if isinstance(given, list) else [] if given is None else [given]
    size = model.config.vocab_size
    if not all(isinstance(token, int) and 0 <= token < size for token in stop):
        raise ValueError(
            f"the generation config of {place} has eos_token_id={given!r}, and the model's ids are 0 to {size - 1}: "
            "correct generation_config.json."
        )
    return stop


@torch.no_grad()
def _check_finite(place: str | Path, model: Any) -> None:
    broken = [name for name, weight in model.named_parameters() if not _is_finite(weight)]
    if broken:
        raise ValueError(
            f"{_weights(place, broken[0])} holds NaN or infinite numbers, in {_count(broken)} ({_some(broken)}): "
            "nothing can be computed with them. Get the model again."
        )


def _is_finite(weight: torch.Tensor) -> bool:
    """Checks minimum and maximum, which NaN spreads to: a mask of all elements would need a quarter of the memory."""
    return weight.numel() == 0 or bool(torch.stack(weight.aminmax()).isfinite().all())


def _weights(place: str | Path, tensor: str = "") -> str | Path:
    return weights_file(place, tensor) if isinstance(place, Path) else place


def _saved_as(model: Any) -> str:
    """A hint where the folder is of another kind of model."""
    kinds = model.config.architectures or []
    other = [kind for kind in kinds if kind != type(model).__name__]
    return f" It was saved as {other[0]}, and strop trains language models." if other else ""


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
