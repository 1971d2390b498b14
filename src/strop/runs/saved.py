"""A policy as a folder of its own: what `strop export` makes of those that have no Hugging Face form.

config.json        the number of its format, the policy's Config in public names, and its state but for the tensors
model.safetensors  the tensors
tokenizer.json     where the Config holds a tokenizer
README.md          the card
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from strop.hub.card import Card, as_markdown_for_strop
from strop.hub.export import tokenizer_of, written
from strop.hub.folder import WEIGHTS, read_object
from strop.hub.origin import CARD
from strop.packages import home
from strop.runs import spec
from strop.runs.state import pack, same
from strop.runs.tree import unpack
from strop.types import Codec, Policy, PolicyConfig, State, Tokenizer

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
MARK, FORMAT = "strop_format", 1
"""The key of config.json that says it is strop's, and the version of its form."""


def folder_of(name: str) -> Path | None:
    """The folder of this name, here or among the models that were fetched; None if it is not one of strop's."""
    return next((folder for folder in (Path(name).expanduser(), home() / "models" / name) if _is_ours(folder)), None)


def save(config: PolicyConfig, policy: Policy, codec: Codec, folder: Path, card: Card) -> float:
    """Write `folder`, which must not exist or be empty, load it again, and return how far its logits are off.

    Raises ValueError for a policy that reads no text, or that is not the same when it is made from the folder.
    """

    def write(beside: Path) -> None:
        _write(config, policy.state_dict(), beside)
        (beside / CARD).write_text(as_markdown_for_strop(card, codec, tokenizer_of(codec)), encoding="utf-8")

    return written(folder, write, lambda beside: _gap(policy, beside))


def config_in(folder: Path) -> PolicyConfig:
    """The policy's Config. Raises ValueError, naming the file, if it cannot be read."""
    try:
        config = spec.decode(_read(folder)["policy"], folder)
    except (AttributeError, ImportError) as error:  # a name that is not there
        raise ValueError(f"{folder / CONFIG} cannot be used: {error} Install the package that gave it.") from error
    except TypeError as error:  # no class, one that is no dataclass, or without a field that it needs
        raise ValueError(f"{folder / CONFIG} is damaged: its policy cannot be made ({error}).") from error
    if not isinstance(config, PolicyConfig):
        raise ValueError(f"{folder / CONFIG} is damaged: its policy is no Config of a policy.")
    return config


def state_in(folder: Path) -> State:
    """The policy's state. Raises ValueError, naming the file, if it cannot be read."""
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} cannot be read ({error}): copy or make it again.") from error
    try:
        state: State = unpack(_read(folder)["state"], tensors)
    except KeyError as error:
        raise ValueError(f"{folder / WEIGHTS} lacks {error}, which {CONFIG} names: copy or make them again.") from None
    return state


def _is_ours(folder: Path) -> bool:
    try:
        return MARK in json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _write(config: PolicyConfig, state: State, folder: Path) -> None:
    tensors, tree = pack(state)
    policy = spec.encode(config)
    for name, value in policy.items():
        tokenizer = getattr(config, name) if name != "class" else None
        if isinstance(tokenizer, Tokenizer):
            (folder / TOKENIZER).write_text(tokenizer.json, encoding="utf-8", newline="")
            policy[name] = {**value, "tokenizer": TOKENIZER}
    text = json.dumps({MARK: FORMAT, "policy": policy, "state": tree}, indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _read(folder: Path) -> dict[str, Any]:
    found = read_object(folder / CONFIG)
    if found.get(MARK) != FORMAT:
        raise ValueError(
            f"{folder / CONFIG} has format {found.get(MARK)}, and this strop reads {FORMAT}: update strop."
        )
    if "policy" not in found or "state" not in found:
        raise ValueError(f"{folder / CONFIG} is damaged: it holds no policy. Copy or make the folder again.")
    return found


@torch.no_grad()
def _gap(policy: Policy, folder: Path) -> float:
    """The largest difference of logits between the policy and the one that the folder makes; infinite if its state is
    another one. It is made from another seed: what is not in the folder shows."""
    again, _ = config_in(folder).build(1, "float32", str(policy.parameters()[0].device))
    again.load_state_dict(state_in(folder))
    if not same(again.state_dict(), policy.state_dict()):
        return float("inf")
    prompts = [tuple(range(min(16, policy.vocabulary))), (policy.vocabulary - 1,)]
    with policy.lock.reading():
        ours, theirs = policy.prefill(prompts)[0], again.prefill(prompts)[0]
    return float((ours - theirs).abs().max())
