"""A trained model as a Hugging Face folder that needs no strop: weights, tokenizer, template and model card."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from strop.codec import HFCodec, WordCodec
from strop.hub.card import Card, as_markdown
from strop.hub.folder import WEIGHTS, read_object
from strop.hub.models import quiet
from strop.hub.origin import CARD
from strop.hub.sequence import first_tokens
from strop.types import Codec, Sampling

TOLERANCE = 1e-4
"""Logits of the exported model may differ by this much from the policy's, as a share of the largest: float32 rounds a
merged adapter in another way, and by more where a model's activations are large."""
CONFIG = "config.json"
ONE_FILE = 2**62
"""Bytes up to which weights are not split into several files: all."""


def export(model: Any, weights: Mapping[str, Tensor], codec: Codec, folder: Path, card: Card) -> float:
    """Write `folder`, which must not exist or be empty, load it again, and return the `relative_gap` of its logits.

    `model` may hold adapters: `weights` are those of a plain model that computes the same.
    """
    return written(
        folder, lambda beside: _write(model, weights, codec, beside, card), lambda beside: _gap(model, beside)
    )


def written(folder: Path, write: Callable[[Path], None], gap_of: Callable[[Path], float]) -> float:
    """Let `write` fill a folder, and return by how much its logits are off, as `gap_of` measures (`relative_gap`).

    It is written beside and renamed, so that a failure leaves nothing that looks like a model. Raises ValueError for
    logits that are off by more than `TOLERANCE`.
    """
    folder = folder.resolve()
    beside = folder.with_name(f".writing-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        write(beside)
        gap = gap_of(beside)
        if not gap <= TOLERANCE:
            raise ValueError(
                f"{folder} was not written: read back, its logits differ by {gap:.2g} of the largest from the policy's."
            )
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return gap


def write_weights(model: Any, weights: Mapping[str, Tensor], folder: Path) -> Path:
    """Write a model without its tokenizer into a new folder, its weights as one file, which is returned.

    `model` may hold adapters: `weights` are those of a plain model that computes the same. The output head has weights
    of its own, also where they are tied to those of the input: vLLM 0.32 does not load tied ones again on a CPU.
    """
    head = next(name for name, module in model.named_modules() if module is model.get_output_embeddings())
    own = {f"{head}.weight": weights[f"{head}.weight"].clone()}
    with quiet():
        model.save_pretrained(folder, state_dict={**weights, **own}, max_shard_size=ONE_FILE)
    config = read_object(folder / CONFIG) | {"tie_word_embeddings": False}
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return folder / WEIGHTS


def _write(model: Any, weights: Mapping[str, Tensor], codec: Codec, folder: Path, card: Card) -> None:
    config = copy.deepcopy(model.config)
    config.tie_word_embeddings = are_tied(model)
    tokenizer = tokenizer_of(codec)
    with quiet():
        with torch.random.fork_rng(devices=[]):
            plain: Any = type(model)._from_config(config, dtype=torch.float32)
        plain.load_state_dict(weights)
        plain.tie_weights()
        plain.generation_config = _generation(model, codec, card.usage.sampling)
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    page = as_markdown(card, codec, tokenizer, model.config.is_encoder_decoder)
    (folder / CARD).write_text(page, encoding="utf-8")


def are_tied(model: Any) -> bool:
    """Whether the weights of input and output are the same, and no adapter makes them two."""
    from peft.tuners.lora import LoraLayer

    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    return head.weight is embedding.weight and not isinstance(head, LoraLayer) and not isinstance(embedding, LoraLayer)


def _generation(model: Any, codec: Codec, sampling: Sampling) -> Any:
    """The run's sampling settings, as the defaults of generate()."""
    from transformers import GenerationConfig

    stop = sorted(codec.stop)
    is_greedy = sampling.temperature == 0.0
    distribution = (
        {} if is_greedy else {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    )
    starts = {}
    if model.config.is_encoder_decoder:
        start, *forced = first_tokens(model)
        starts = {"decoder_start_token_id": start, "forced_bos_token_id": forced[0] if forced else None}
    return GenerationConfig(
        do_sample=not is_greedy,
        max_new_tokens=sampling.max_tokens,
        eos_token_id=stop[0] if len(stop) == 1 else stop or None,
        bos_token_id=model.config.bos_token_id,
        pad_token_id=model.config.pad_token_id,
        bad_words_ids=None if model.generation_config is None else model.generation_config.bad_words_ids,
        **starts,
        **distribution,
    )


def tokenizer_of(codec: Codec) -> Any:
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
def _gap(model: Any, folder: Path) -> float:
    """The `relative_gap` between the model and the exported folder, in float32 on the model's device."""
    # the position table of some models is shorter than the text that is read here
    length = min(16, getattr(model.config, "max_position_embeddings", None) or 16)
    tokens_1T = torch.arange(length, device=model.device).remainder(model.config.vocab_size).unsqueeze(0)
    with quiet():
        again: Any = type(model).from_pretrained(folder, dtype=torch.float32).eval().to(model.device)
    inputs = {"input_ids": tokens_1T} | ({"decoder_input_ids": tokens_1T} if model.config.is_encoder_decoder else {})
    ours, theirs = (one(**inputs, use_cache=False).logits for one in (model, again))
    return relative_gap(ours, theirs)


def relative_gap(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of logits, as a share of the largest of ours, or of 1 where all are smaller."""
    return float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1.0))
