"""Load a pretrained model and its tokenizer from a folder, the local cache or the Hub, with errors in plain words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from strop.codec import HFCodec
from strop.hub.folder import check_files, tokenizer_file, weights_file
from strop.hub.form import Form, check_form
from strop.hub.integrity import NEXT_SENTENCE, check_tokenizer, check_weights, stop_tokens
from strop.hub.models import resolve
from strop.process import ALONE

HUB_SECONDS = 10.0
"""How long the Hub may take to say whether it has a model."""


def load(name: str) -> tuple[Any, HFCodec]:
    """The causal model in float32 (master weights), and its codec; as `loaded`."""
    model, tokenizer, stop = loaded(name, "causal")
    return model, HFCodec(tokenizer, stop=stop)


def loaded(name: str, form: Form) -> tuple[Any, Any, list[int]]:
    """The model in float32 (master weights), its tokenizer, and the ids that end a text. `name`: a local model's name,
    a folder, or a Hub id.

    Raises ValueError, naming the file, for a model that is incomplete or damaged, or of another form.
    """
    import transformers
    from transformers import AutoConfig, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    for talkative in ("transformers", "huggingface_hub"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    place = resolve(name)
    if isinstance(place, str):
        place = _on_the_hub(name, place)
    if isinstance(place, Path):
        check_files(place)
    with _explained(place, "config.json"):
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    check_form(place, config, form)
    with _explained(place, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    models = {
        "causal": transformers.AutoModelForCausalLM,
        "sequence to sequence": transformers.AutoModelForSeq2SeqLM,
        "masked": transformers.AutoModelForMaskedLM,
    }
    with _explained(place, "weights"), ALONE:
        model, found = models[form].from_pretrained(
            place, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True
        )
    check_weights(place, model, found, spare=NEXT_SENTENCE if form == "masked" else ())
    check_tokenizer(place, model, tokenizer)
    return model, tokenizer, [] if form == "masked" else stop_tokens(place, model)


def _on_the_hub(name: str, hub_id: str) -> Path | str:
    """The id, if the Hub has this model; if it cannot be asked, the folder of an earlier download; else an error.

    The Hub is asked once: the retries of a download take a minute to find out that there is no network.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        HfApi().model_info(hub_id, timeout=HUB_SECONDS)
    except Exception as error:  # of several libraries, and without a common base: no network, no such model, no access
        try:
            return Path(snapshot_download(hub_id, local_files_only=True))
        except LocalEntryNotFoundError:
            raise ValueError(_not_found(name, error)) from error
    return hub_id


@contextmanager
def _explained(place: str | Path, part: Literal["config.json", "tokenizer", "weights"]) -> Iterator[None]:
    """Whatever transformers raises about a file becomes a ValueError that names it: its errors are of many types."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        file = _file(place, part) if isinstance(place, Path) else f"the {part} of {place}"
        raise ValueError(f"transformers cannot use {file}: {_reason(error)}") from error


def _file(folder: Path, part: str) -> Path:
    if part == "tokenizer":
        return tokenizer_file(folder) or folder
    return weights_file(folder) if part == "weights" else folder / part


def _reason(error: Exception) -> str:
    """The first sentence or two, without line breaks."""
    lines = str(error).strip().splitlines() or [""]
    text = " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])
    is_plain = isinstance(error, ImportError | OSError | ValueError) and text
    return text if is_plain else f"{type(error).__name__}: {text}"


def _not_found(name: str, error: Exception) -> str:
    return (
        f"policy={name!r} is neither a folder here nor a local model, and the Hub could not give it "
        f"({_reason(error)}). Allowed: 'smollm2' (strop models get smollm2), a folder, or a Hub id when online."
    )
