"""Load a pretrained model and its tokenizer from a folder, the local cache or the Hub, with errors in plain words."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from strop.codec import HFCodec
from strop.policies.models import resolve

HUB_SECONDS = 10.0
"""How long the Hub may take to say whether it has a model."""


def load(name: str) -> tuple[Any, HFCodec]:
    """The model in float32 (master weights), and its codec. `name`: a local model's name, a folder, or a Hub id."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    for talkative in ("transformers", "huggingface_hub"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    place = resolve(name)
    if isinstance(place, str):
        place = _on_the_hub(name, place)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    except (ImportError, OSError, ValueError) as error:
        raise ValueError(_explain(name, place, error)) from error
    return model, HFCodec(tokenizer, stop=_stop_tokens(model))


def _on_the_hub(name: str, hub_id: str) -> Path | str:
    """The id, if the Hub has this model; if it cannot be asked, the folder of an earlier download; else an error.

    It is asked once, because the retries of a download take a minute before they say that there is no network.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        HfApi().model_info(hub_id, timeout=HUB_SECONDS)
    except Exception as error:  # of several libraries, and without a common base: no network, no such model, no access
        try:
            return Path(snapshot_download(hub_id, local_files_only=True))
        except LocalEntryNotFoundError:
            raise ValueError(_explain(name, hub_id, error)) from error
    return hub_id


def _stop_tokens(model: Any) -> list[int]:
    """Every end-of-text id of the generation config: a number, a list, or nothing."""
    stop = model.generation_config.eos_token_id if model.generation_config is not None else None
    if stop is None:
        return []
    return list(stop) if isinstance(stop, list) else [int(stop)]


def _explain(name: str, place: str | Path, error: Exception) -> str:
    reason = str(error).strip().split("\n")[0]
    if Path(place).is_dir():
        return f"policy={name!r}: {place} does not hold a causal language model that transformers can load: {reason}"
    return (
        f"policy={name!r} is neither a folder here nor a local model, and the Hub could not give it ({reason}). "
        "Allowed: 'smollm2' (strop models get smollm2), a folder, or a Hub id when online."
    )
