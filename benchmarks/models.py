"""The models that benchmarks run: the one that the demo uses, and a larger shape with random weights."""

from __future__ import annotations

from pathlib import Path

import trainers

MODELS = {"smollm2": "SmolLM2-135M", "qwen2-0.4b": "Qwen2 shape of 0.4B, random weights"}
"""Name on the command line: name in a table."""


def folder_of(name: str) -> Path:
    """The model's folder; one with random weights is written into the folder of this process."""
    from strop.hub.models import resolve

    return resolve("smollm2") if name == "smollm2" else _random_qwen2(trainers.folder() / name)


def _random_qwen2(folder: Path) -> Path:
    """24 layers of 896 with SmolLM2's tokenizer: an answer ends only at its limit, as good as always."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = trainers.tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
