"""transformers' models on the pretended device give the CPU's numbers: logits, gradients, decoding with a cache."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended, transfers

T = torch.Tensor
VOCABULARY, ROWS, PROMPT, DECODED = 32, 3, 6, 3


@pytest.fixture(autouse=True)
def _pretended() -> Iterator[None]:
    with pretended():
        yield


SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**SHAPE, **SPECIAL),
    "gemma": GemmaConfig(**SHAPE, **SPECIAL, head_dim=8),
    "qwen3": Qwen3Config(**SHAPE, **SPECIAL, head_dim=8),
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=32, **SPECIAL),
}


def built(name: str) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(CONFIGS[name], attn_implementation="sdpa").eval()


def prompts(device: torch.device | str) -> tuple[T, T]:
    """Tokens [B, T] and their mask: the first row is shorter, padded on the left."""
    tokens_BT = torch.randint(3, VOCABULARY, (ROWS, PROMPT), generator=torch.Generator().manual_seed(1))
    mask_BT = torch.ones_like(tokens_BT)
    mask_BT[0, :2] = 0
    return tokens_BT.to(device), mask_BT.to(device)


def learnt(model: PreTrainedModel, device: torch.device | str) -> list[T]:
    """The loss and the gradient of every parameter."""
    tokens_BT, mask_BT = prompts(device)
    logits_BTV = model(input_ids=tokens_BT, attention_mask=mask_BT, use_cache=False).logits
    loss = functional.cross_entropy(logits_BTV[:, 2:-1].flatten(0, 1), tokens_BT[:, 3:].flatten())
    loss.backward()
    return [loss.detach(), *(each.grad for each in model.parameters())]


@torch.inference_mode()
def decoded(model: PreTrainedModel, device: torch.device | str) -> list[T]:
    """The logits of every greedy step, and the last keys."""
    tokens_BT, mask_BT = prompts(device)
    cache, logits = DynamicCache(), list[T]()
    for _ in range(DECODED):
        out = model(input_ids=tokens_BT, attention_mask=mask_BT, past_key_values=cache, use_cache=True)
        logits.append(out.logits[:, -1])
        tokens_BT = logits[-1].argmax(-1, keepdim=True)
        mask_BT = torch.cat([mask_BT, torch.ones_like(tokens_BT)], dim=1)
    return [*logits, cache.layers[-1].keys]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_gives_the_cpus_numbers(name: str) -> None:
    model = built(name)
    expected = [*learnt(model, "cpu"), *decoded(model, "cpu")]
    moved = copy.deepcopy(model).to(DEVICE)
    moved.zero_grad()
    found = [*learnt(moved, DEVICE), *decoded(moved, DEVICE)]
    assert {each.device for each in found} == {DEVICE}
    torch.testing.assert_close([each.cpu() for each in found], expected, rtol=1e-5, atol=1e-6)


def test_a_checkpointed_model_gives_the_same_gradients() -> None:
    model = built("llama")
    expected = learnt(model, "cpu")
    moved = copy.deepcopy(model).to(DEVICE).train()
    moved.zero_grad()
    moved.activation_checkpointing_enable({"use_reentrant": False})
    torch.testing.assert_close([each.cpu() for each in learnt(moved, DEVICE)], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("forgotten", ["input_ids", "position_ids"])
def test_a_model_refuses_what_is_on_the_cpu(forgotten: str) -> None:
    tokens_BT, _ = prompts(DEVICE)
    inputs = {"input_ids": tokens_BT, "position_ids": torch.arange(PROMPT, device=DEVICE).expand(ROWS, -1)}
    model = built("llama").to(DEVICE)
    model(**inputs)
    with pytest.raises(RuntimeError, match="same device"):
        model(**inputs | {forgotten: inputs[forgotten].cpu()})


def test_transformers_waits_for_the_device_at_each_mask_of_two_dimensions() -> None:
    """Why a sampler hands over masks of four: whether all is attended to is asked of the host, once a forward."""
    model = built("llama").to(DEVICE)
    with transfers() as seen:
        decoded(model, DEVICE)
    assert len(seen.to_host) >= DECODED
    tokens_BT, _ = prompts(DEVICE)
    mask_B1TT = torch.ones(ROWS, 1, PROMPT, PROMPT, dtype=torch.bool, device=DEVICE).tril()
    positions_BT = torch.arange(PROMPT, device=DEVICE)[None]
    with transfers() as seen:
        model(input_ids=tokens_BT, attention_mask=mask_B1TT, position_ids=positions_BT, use_cache=False)
    assert seen.to_host == []
