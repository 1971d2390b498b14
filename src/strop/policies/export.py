"""A trained policy as a Hugging Face folder that needs no strop: merged weights, tokenizer, template and model card."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from strop.codec import HFCodec, WordCodec
from strop.intervals import METHOD
from strop.policies.adapters import merged_state_dict
from strop.policies.models import MANIFEST, SOURCES, quiet
from strop.policies.transformer import Transformer

TOLERANCE = 1e-4
"""Logits of what is read back may differ by this much from the policy's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the model card says. `base` is empty of a model from scratch; a verdict is (name, before, after, change)."""

    title: str
    base: str
    command: str
    steps: int
    verdicts: Sequence[tuple[str, str, str, str]]
    strop: str


def export(policy: object, codec: object, folder: Path, card: Card) -> float:
    """Write `folder`, which must not exist or be empty; the largest difference of logits after reading it back.

    It is written beside and renamed, so that a failure leaves nothing that looks like a model.
    """
    if not isinstance(policy, Transformer):
        raise ValueError(
            f"a {type(policy).__name__} is no transformer, so there is no Hugging Face folder to make of it: only "
            "transformers can be exported. strop show prints what a table has learnt."
        )
    beside = folder.with_name(f".writing-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _write(policy, codec, beside, card)
        gap = _gap(policy, beside)
        if not gap <= TOLERANCE:
            raise ValueError(f"{folder} was not written: read back, its logits differ by {gap:.2g} from the policy's.")
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return gap


def licence_of(model: str) -> str:
    """The base's licence where it is known: of a named model, or from the card or manifest in its folder."""
    if model in SOURCES:
        return SOURCES[model].licence
    place = Path(model).expanduser()
    if (place / MANIFEST).is_file():
        return str(json.loads((place / MANIFEST).read_text(encoding="utf-8")).get("licence", ""))
    card = place / "README.md"
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("license:")]
    return found[0] if found else ""


def _write(policy: Transformer, codec: object, folder: Path, card: Card) -> None:
    from transformers import AutoModelForCausalLM

    weights = merged_state_dict(policy.model)
    config = copy.deepcopy(policy.model.config)
    with quiet():
        with torch.random.fork_rng(devices=[]):
            plain: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(weights)
        plain.tie_weights()
        if policy.model.generation_config is not None:
            plain.generation_config = policy.model.generation_config
        plain.save_pretrained(folder)
        _tokenizer(codec).save_pretrained(folder)
    (folder / "README.md").write_text(_readme(card), encoding="utf-8")


def _tokenizer(codec: object) -> Any:
    """The codec's tokenizer; of a word vocabulary, one that splits at white space."""
    if isinstance(codec, HFCodec):
        return codec.tokenizer
    if not isinstance(codec, WordCodec):
        raise ValueError(
            f"a {type(codec).__name__} has no Hugging Face form: only tokenizers and words can be exported."
        )
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(WordLevel({word: number for number, word in enumerate(codec.words)}, unk_token=None))
    made.pre_tokenizer = WhitespaceSplit()
    end = None if codec.end is None else codec.words[codec.end]
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=end)


@torch.no_grad()
def _gap(policy: Transformer, folder: Path) -> float:
    """The largest difference of logits between the policy in float32 and what the folder gives back."""
    from transformers import AutoModelForCausalLM

    length = min(16, policy.context or 16)
    tokens_1T = torch.arange(length).remainder(policy.vocabulary).unsqueeze(0)
    with quiet():
        again: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ours: Tensor = policy.model(input_ids=tokens_1T, use_cache=False).logits
    theirs: Tensor = again(input_ids=tokens_1T, use_cache=False).logits
    return float((ours - theirs).abs().max())


def _readme(card: Card) -> str:
    licence = licence_of(card.base) if card.base else ""
    head = ["---", "library_name: transformers", "tags: [reinforcement-learning, strop]"]
    head += [f"base_model: {card.base}"] if card.base else []
    head += [f"license: {licence.lower()}"] if licence else []
    origin = f"from the base model `{card.base}`" if card.base else "from random weights"
    lines = [*head, "---", "", f"# {card.title}", ""]
    lines += [f"Trained {origin} by reinforcement learning with strop {card.strop}, {card.steps} steps."]
    lines += ["", f"    {card.command}"] if card.command else []
    lines += ["", "## Held-out scores", ""]
    if card.verdicts:
        lines += ["| | before | after | difference |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in card.verdicts]
        lines += ["", f"Means over held-out prompts; the difference is paired by prompt. {METHOD}."]
    else:
        lines += ["This checkpoint was not judged on held-out prompts."]
    lines += ["", "## Licence", ""]
    lines += [f"The base model's: {licence}." if licence else "The base model's licence applies; it is not known here."]
    return "\n".join(lines) + "\n"
