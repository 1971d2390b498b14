"""Decoding in 8 bits: the whole numbers that it should be, row by row, from weights that follow the policy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exact.build import batch_of, episode, llama, turn
from strop.compute import packed_linear as packed
from strop.compute.decoder import SharedPromptState
from strop.compute.lora_linear import LoRALinear
from strop.compute.padded_decoder import PaddedState
from strop.optimizer import AdamW
from strop.policies import eight_bit
from strop.policies.adapters import LoRA
from strop.policies.eight_bit import BLOCK, INPUT, WEIGHT, EightBitDecoder, EightBitLinear, hadamard
from strop.policies.table import Table
from strop.policies.transformer import Transformer, adapt
from strop.samplers import EightBit
from strop.types import Term

pytestmark = pytest.mark.skipif(
    eight_bit.ENGINE not in torch.backends.quantized.supported_engines, reason="this torch has no products in 8 bits"
)
PROMPTS = [(1, 2, 0), (2, 1)]


@pytest.fixture
def however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix is rounded."""
    monkeypatch.setattr(packed, "FEWEST", 1)


def layers(width: int, *outs: int, bias: bool = False) -> list[torch.nn.Linear]:
    torch.manual_seed(0)
    return [torch.nn.Linear(width, out, bias=bias).requires_grad_(False) for out in outs]


def product(*own: torch.nn.Linear) -> EightBitLinear:
    made = EightBitLinear(own)
    made.refresh()
    return made


def by_hand(weight_OI: np.ndarray, rows_NI: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in numpy: turned, rounded to whole numbers, multiplied, scaled back; and where all pairs fit 16 bits."""
    size = int(np.gcd(weight_OI.shape[1], BLOCK))
    turn = np.array([[(-1.0) ** bin(i & j).count("1") for j in range(size)] for i in range(size)]) / np.sqrt(size)

    def turned(rows: np.ndarray) -> np.ndarray:
        return (rows.reshape(-1, size) @ turn).reshape(rows.shape)

    weight_OI, rows_NI = turned(weight_OI), turned(rows_NI)
    scale_O, scale_N = np.abs(weight_OI).max(1) / WEIGHT, np.abs(rows_NI).max(1) / INPUT
    whole_OI, whole_NI = np.round(weight_OI / scale_O[:, None]), np.round(rows_NI / scale_N[:, None])
    pairs = ((whole_NI[:, None] + 128) * whole_OI).reshape(len(rows_NI), len(weight_OI), -1, 2).sum(-1)
    return (whole_NI @ whole_OI.T) * scale_N[:, None] * scale_O, np.abs(pairs).max(-1) < 2**15


@pytest.mark.parametrize("width", [24, 40, 128])
def test_it_is_the_product_of_whole_numbers(width: int) -> None:
    (own,) = layers(width, 6)
    rows_NI = torch.randn(5, width) * torch.tensor([[1e-3], [1.0], [30.0], [0.1], [2.0]])
    expected_NO, fits_NO = by_hand(own.weight.double().numpy(), rows_NI.double().numpy())
    assert fits_NO.mean() > 0.8  # a processor without VNNI cuts the others
    found_NO = product(own).multiply(rows_NI).numpy()
    np.testing.assert_allclose(found_NO[fits_NO], expected_NO[fits_NO], rtol=1e-4)


@pytest.mark.parametrize("width", [24, 64, 576, 1536])
def test_it_is_within_a_few_percent_of_the_exact_product(width: int) -> None:
    (own,) = layers(width, 40)
    rows_NI = torch.randn(5, width)
    exact_NO = rows_NI @ own.weight.T
    assert 1e-3 < (product(own).multiply(rows_NI) - exact_NO).norm() / exact_NO.norm() < 0.02


def test_the_matrix_that_turns_is_its_own_inverse() -> None:
    for size in (1, 2, 64):
        turn = hadamard(size)
        torch.testing.assert_close(turn @ turn, torch.eye(size))
        assert torch.equal(turn.abs(), torch.full((size, size), size**-0.5))


def test_a_few_large_numbers_cost_little_because_they_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    (own,) = layers(256, 32)
    rows_NI = torch.randn(8, 256)
    rows_NI[:, 3] = 60.0
    exact_NO = rows_NI @ own.weight.T

    def error() -> float:
        return ((product(own).multiply(rows_NI) - exact_NO).norm() / exact_NO.norm()).item()

    spread = error()
    monkeypatch.setattr(eight_bit, "BLOCK", 1)
    assert spread < 0.02
    assert error() > 1.3 * spread


def test_a_product_rounds_each_row_for_itself() -> None:
    made = product(*layers(64, 32))
    rows_NI = torch.randn(6, 64) * torch.logspace(-3, 3, 6).unsqueeze(1)
    whole = made.multiply(rows_NI)
    for i in range(6):
        alone_1O = made.multiply(rows_NI[i : i + 1])
        # processors add up one row in another order than six, which may turn the last of 127 steps of a number; under
        # one scale for all rows the small ones would be gone
        assert (alone_1O - whole[i : i + 1]).norm() < 0.01 * alone_1O.norm()


def test_zeros_stay_zeros_and_a_bias_is_added_as_it_is() -> None:
    own = layers(64, 4, 8, bias=True)
    made = product(*own)
    out = made.multiply(torch.zeros(3, 64))
    assert torch.equal(out, torch.cat([one.bias for one in own]).expand(3, -1))
    (empty,) = layers(64, 4)
    empty.weight.zero_()
    assert torch.equal(product(empty).multiply(torch.randn(3, 64)), torch.zeros(3, 4))


def test_the_process_keeps_its_own_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    other = next(one for one in torch.backends.quantized.supported_engines if one != eight_bit.ENGINE)
    monkeypatch.setattr(torch.backends.quantized, "engine", other)
    product(*layers(64, 4))
    assert torch.backends.quantized.engine == other


def move(policy: Transformer) -> None:
    total = sum((parameter.sum() for parameter in policy.parameters()), start=torch.zeros(()))
    AdamW(lr=0.1).build(policy.parameters(), policy.lock).step(batch_of(episode(turn((1,), (2,)))), [Term(total, {})])


@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
def test_prompts_are_read_exactly_and_tokens_follow_every_change(lora: LoRA | None, however_small: None) -> None:
    policy = adapt(llama(width=64), lora, 0, "float32")
    decoder = EightBitDecoder(policy)
    for _ in range(2):
        logits_BV, state = decoder.prefill(PROMPTS)
        expected_BV, own = PaddedState.prefill(policy.model, PROMPTS, "float32")
        torch.testing.assert_close(logits_BV, expected_BV, rtol=0, atol=1e-5)
        assert isinstance(state, SharedPromptState)
        tokens_B = torch.tensor([1, 2])
        found_BV, exact_BV = decoder.decode(state, tokens_B)[0], own.step(tokens_B)
        gap = (found_BV - exact_BV).abs().max() / exact_BV.abs().max()
        assert 0 < gap < 0.1
        move(policy)
    assert not torch.allclose(policy.prefill(PROMPTS)[0], logits_BV, atol=0.01)  # the change was one


def test_what_an_adapter_leaves_alone_is_rounded_once(however_small: None) -> None:
    policy = adapt(llama(width=64), LoRA(rank=2, alpha=4), 0, "float32")
    decoder = EightBitDecoder(policy)
    decoder.prefill(PROMPTS)
    base = [one for one in decoder.copy.linears if not one.is_trainable]
    before = [one.weight for one in base]
    move(policy)
    decoder.prefill(PROMPTS)
    assert base
    assert all(one.weight is weight for one, weight in zip(base, before, strict=True))


@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
def test_in_bfloat16_only_the_head_is_in_eight_bits(lora: LoRA | None, however_small: None) -> None:
    policy = adapt(llama(width=64), lora, 0, "bfloat16")
    decoder = EightBitDecoder(policy)
    (head,) = [one for one in decoder.copy.linears if isinstance(one, EightBitLinear)]
    assert head.originals[0][0] is policy.model.get_output_embeddings().weight
    assert any(isinstance(one, LoRALinear) for one in decoder.copy.linears) == (lora is not None)
    tokens_B = torch.tensor([1, 2])
    found_BV = decoder.decode(decoder.prefill(PROMPTS)[1], tokens_B)[0]
    exact_BV = policy.decode(policy.prefill(PROMPTS)[1], tokens_B)[0]  # the same but for the head
    assert 0 < (found_BV - exact_BV).norm() < 0.02 * exact_BV.norm()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_another_model_decodes_with_transformers_own_pass(dtype: str, however_small: None) -> None:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**sizes, num_attention_heads=2, max_position_embeddings=32))
    decoder, tokens_B = EightBitDecoder(Transformer(model, dtype=dtype)), torch.tensor([1, 2])
    state = decoder.prefill(PROMPTS)[1]
    assert isinstance(state, PaddedState)
    found_BV = decoder.decode(decoder.keep(state, [1, 0]), tokens_B)[0]
    own = PaddedState.prefill(model, PROMPTS, "float32")[1].keep([1, 0])
    exact_BV = own.step(tokens_B)
    assert 0 < (found_BV - exact_BV).abs().max() < 0.1 * exact_BV.abs().max()


def test_a_torch_without_it_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bit, "ENGINE", "none")
    with pytest.raises(RuntimeError, match=r"EightBit needs torch's none.*LocalSampler.Config\(\)"):
        EightBit(Transformer(llama()), frozenset())


def test_only_transformers_are_decoded_so() -> None:
    with pytest.raises(ValueError, match=r"EightBit runs language models.*this policy is a Table"):
        EightBit(Table(4), frozenset())


def test_a_model_that_would_gain_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no linear layer of 262144 weights or more.*LocalSampler.Config\(\)"):
        EightBit(Transformer(llama()), frozenset())


def test_publishing_another_policy_takes_its_weights(however_small: None) -> None:
    one, other = Transformer(llama()), Transformer(llama(seed=1))
    sampler = EightBit(one, frozenset())
    decoder = sampler._decoder
    sampler.publish(one)
    assert sampler._decoder is decoder
    sampler.publish(other)
    assert sampler._decoder.policy is other
