"""Checks of a Hugging Face folder's files, before a model is loaded from it.

transformers ignores some faults (no tokenizer, a generation config that is not JSON), and most of its errors about a
damaged file do not name the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
ADAPTER = "adapter_config.json"
SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "*.model", "*.tiktoken", "tekken.json")
GIT_LFS = b"version https://git-lfs"


def check_files(folder: Path) -> None:
    """Raise ValueError, naming the file, if one is damaged, missing or of an adapter."""
    if (folder / ADAPTER).is_file():
        raise ValueError(
            f"{folder / ADAPTER} says that {folder} holds an adapter of peft. strop trains a model and adds its own "
            "adapter: merge this one first (merge_and_unload, then save_pretrained)."
        )
    for name in SETTINGS:
        if (folder / name).is_file():
            read_object(folder / name)
    if tokenizer_file(folder) is None:
        raise ValueError(
            f"{folder} holds no tokenizer, for example {folder / 'tokenizer.json'}: copy the files of the model's own "
            "tokenizer into it."
        )
    for file in _safetensors(folder):
        _check_header(file)


def tokenizer_file(folder: Path) -> Path | None:
    """The file of its tokenizer; None if there is none."""
    return next((file for pattern in TOKENIZERS for file in sorted(folder.glob(pattern))), None)


def weights_file(folder: Path, tensor: str = "") -> Path:
    """The file that holds a tensor; without a tensor, or for an unknown one, the index of the files."""
    if (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        return folder / str(_shards(folder).get(tensor, INDEX))
    return next((folder / name for name in (WEIGHTS, PICKLED, PICKLED_INDEX) if (folder / name).is_file()), folder)


def read_object(file: Path) -> dict[str, Any]:
    """A JSON file that holds an object."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged: it is not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise ValueError(f"{file} is damaged: it holds a {type(found).__name__} where an object is expected.")
    return found


def _safetensors(folder: Path) -> list[Path]:
    """The safetensors files of its weights; empty if they are pickled."""
    if not any((folder / name).is_file() for name in (WEIGHTS, INDEX, PICKLED, PICKLED_INDEX)):
        raise ValueError(f"{folder} holds no weights: there is no {WEIGHTS}, {INDEX} or {PICKLED} in it.")
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    files = [folder / name for name in sorted(set(_shards(folder).values()))]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f"{missing[0]} is not there: {len(missing)} of the {len(files)} files of weights that {INDEX} names "
            f"{'is' if len(missing) == 1 else 'are'} missing."
        )
    return files


def _shards(folder: Path) -> dict[str, str]:
    shards = read_object(folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise ValueError(f"{folder / INDEX} is damaged: its weight_map names no files.")
    return shards


def _check_header(file: Path) -> None:
    """The header of a safetensors file says how long the file is, and what it holds."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt"):
            return
    except SafetensorError as error:
        with file.open("rb") as opened:
            if opened.read(len(GIT_LFS)) == GIT_LFS:
                raise ValueError(f"{file} is a Git LFS pointer, not weights: git lfs pull gets them.") from error
        raise ValueError(f"{file} is damaged or cut short ({error}): copy or download it again.") from error
