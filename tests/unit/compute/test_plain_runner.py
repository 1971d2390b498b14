"""The plain path computes what transformers computes, for any model, with the processor's products or without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from answer_rows import CASES, LONG, SHORT, rows
from exact.build import batch_of, episode, language_model, policy_over, turn
from strop.compute import plain_runner
from strop.compute.padded import PaddedState
from strop.compute.plain_runner import PlainRunner
from strop.compute.products import can_pack
from strop.compute.replaced import KeptLinear
from strop.optimizer import AdamW
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer
from strop.types import Term
from whole_rows import PROMPTS, decoding_gap, hidden_before

pytestmark = pytest.mark.filterwarnings("ignore:fan_in_fan_out")  # peft, of GPT-2's transposed layers
packs = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")
packs_bfloat16 = pytest.mark.skipif(not can_pack(torch.bfloat16), reason="this processor does not multiply bfloat16")
MIXED = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {}),
    "gemma": ("gemma", {}),
    "gemma3": ("gemma3_text", MIXED),
    "olmo2": ("olmo2", {}),
    "phi3": ("phi3", {}),
    "mistral with a window": ("mistral", {"sliding_window": 4}),
    "llama": ("llama", {}),
}
EVERY = pytest.mark.parametrize("name", MODELS)
ADAPTER = LoRA(rank=2, alpha=4)
EVERY_WAY = pytest.mark.parametrize(
    ("name", "lora", "has_products"),
    [
        pytest.param(name, lora, has_products, marks=[] if (lora is None) is not has_products else pytest.mark.matrix)
        for name in MODELS
        for lora in (None, ADAPTER)
        for has_products in (True, False)
    ],
)
PRODUCTS = pytest.mark.parametrize("has_products", [True, False], ids=["products", "none"])
FULL_OR_LORA = pytest.mark.parametrize("lora", [None, ADAPTER], ids=["full", "lora"])
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
PACKED_TYPES = pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=packs_bfloat16)], ids=["float32", "bfloat16"]
)


def model_of(name: str) -> Any:
    kind, options = MODELS[name]
    return language_model(kind, **options)


def adapted(name: str, lora: LoRA | None) -> Any:
    return policy_over(model_of(name), lora).model


# ------------------------------------------------------------ numbers and gradients


@pytest.mark.matrix
@EVERY_WAY
def test_a_token_is_the_one_that_transformers_computes(
    name: str, lora: LoRA | None, has_products: bool, however_small: None
) -> None:
    model = adapted(name, lora)
    runner = PlainRunner.of(model, torch.float32, has_products)
    assert decoding_gap(runner, model, [[0, 0, 1, 1, 2, 2], [0, 5, 2, 3, 4], [3, 2]]) < 1e-5


@EVERY_WAY
def test_states_and_gradients_are_those_of_whole_rows(
    name: str, lora: LoRA | None, has_products: bool, however_small: None
) -> None:
    model, found = adapted(name, lora), []
    learnt = [p for p in model.base_model.parameters() if p.requires_grad]
    runner = PlainRunner.of(model, torch.float32, has_products)
    for states_NH in (runner.hidden_at(*CASES["shared"]), hidden_before(model, *CASES["shared"])):
        loss = (states_NH * torch.linspace(-1, 1, states_NH.shape[1])).sum()
        found.append([states_NH.detach(), *torch.autograd.grad(loss, learnt, materialize_grads=True)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.bfloat16, 0.05)], ids=str)
def test_a_model_of_another_type_runs_as_it_is(dtype: torch.dtype, near: float, however_small: None) -> None:
    model = language_model().to(dtype)
    runner = PlainRunner.of(model, torch.float32, has_products=True)
    assert decoding_gap(runner, model, [[0, 0, 1], [2, 1]]) < near
    states_NH = runner.hidden_at(*CASES["shared"])
    torch.testing.assert_close(states_NH, hidden_before(model, *CASES["shared"]))


@PRODUCTS
def test_a_decision_after_other_tokens_in_the_row(has_products: bool) -> None:
    tokens_BT, decision_BT = rows((LONG, [1, 2, 3, 4, 5]), (LONG, [2, 3]), (SHORT, [1]))
    decision_BT[0, 6:9] = False
    model = language_model()
    found_NH = PlainRunner.of(model, torch.float32, has_products).hidden_at(tokens_BT, decision_BT)
    torch.testing.assert_close(found_NH, hidden_before(model, tokens_BT, decision_BT))


@PRODUCTS
@TYPES
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
def test_the_head_is_not_rounded_and_has_its_gradient(
    tied: bool, dtype: torch.dtype, has_products: bool, however_small: None
) -> None:
    model, hidden_NH = language_model(tie_word_embeddings=tied), torch.randn(6, 24, requires_grad=True)
    head = PlainRunner.of(model, dtype, has_products).head()
    weight = model.lm_head.weight
    found, true = head(hidden_NH), hidden_NH @ weight.t()
    torch.testing.assert_close(found, true, rtol=0, atol=1e-5)
    for ours, theirs in zip(
        *(torch.autograd.grad(one.sum(), [hidden_NH, weight]) for one in (found, true)), strict=True
    ):
        assert ((ours - theirs).norm() / theirs.norm()).item() < (1e-6 if dtype is torch.float32 else 0.01)


@pytest.mark.matrix
@EVERY
def test_the_base_under_an_adapter(name: str, however_small: None) -> None:
    model, base = adapted(name, ADAPTER), model_of(name)
    runner = PlainRunner.of(model, torch.float32, has_products=True).without_adapter()
    assert decoding_gap(runner, base, [[0, 0, 1]]) < 1e-5
    with torch.no_grad():
        found_NH = runner.hidden_at(*CASES["shared"])
    torch.testing.assert_close(found_NH, hidden_before(base, *CASES["shared"]).detach(), rtol=1e-4, atol=1e-5)


def test_an_adapter_of_the_embedding_is_off_too() -> None:
    policy = policy_over(language_model(), LoRA(rank=2, alpha=4, targets=("q_proj", "embed_tokens")))
    on_BV, off_BV = (one.prefill(PROMPTS)[0] for one in (policy, policy.reference()))
    assert torch.allclose(off_BV, Transformer(language_model()).prefill(PROMPTS)[0], rtol=0, atol=1e-5)
    assert not torch.allclose(on_BV, off_BV, atol=0.05)


# ------------------------------------------------------------ bfloat16


def both(policy: Transformer) -> tuple[Tensor, Tensor]:
    """Logits of two tokens: on the plain path, and by autocast of the model itself with an exact head."""
    head, found = policy.model.get_output_embeddings(), []
    rounding = head.forward

    def exact(rows: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return rounding(rows)

    for prefill in (policy.prefill, lambda prompts: PaddedState.prefill(policy.model, prompts, torch.bfloat16)):
        logits_BV, state = prefill(PROMPTS)
        found.append(torch.stack([logits_BV, state.step(torch.tensor([1, 2, 3]))]))
        head.forward = exact
    del head.forward
    return found[0], found[1]


def alike(found: Tensor, expected: Tensor) -> bool:
    """The same bits up to the head, whose sums in float32 may go in another order; a rounding to bfloat16 is larger."""
    return torch.allclose(found, expected, rtol=0, atol=1e-6)


def move(policy: Transformer) -> None:
    """One step of the optimiser that changes the logits."""
    total = sum((parameter.sum() for parameter in policy.parameters()), start=torch.zeros(()))
    AdamW(lr=0.1).build(policy.parameters(), policy.lock).step(batch_of(episode(turn((1,), (2,)))), [Term(total, {})])


@FULL_OR_LORA
def test_decoding_has_the_bits_of_autocast_before_and_after_every_change(lora: LoRA | None) -> None:
    policy = policy_over(language_model("qwen2"), lora, "bfloat16", is_plain=True)  # Qwen 2 has biases
    start, expected = both(policy)
    assert alike(start, expected)
    saved = {name: tensor.clone() for name, tensor in policy.state_dict()["trainable"].items()}
    move(policy)
    moved, expected = both(policy)
    assert alike(moved, expected)
    assert not torch.allclose(moved, start, atol=0.01)
    policy.load_state_dict({**policy.state_dict(), "trainable": saved})
    assert torch.equal(both(policy)[0], start)


def test_a_bias_that_trains_alone_is_copied_anew() -> None:
    model = language_model("qwen2")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("bias"))
    policy = Transformer(model, dtype="bfloat16", is_plain=True)
    start = both(policy)[0]
    move(policy)
    moved, expected = both(policy)
    assert alike(moved, expected)
    assert not torch.allclose(moved, start, atol=0.01)


# ------------------------------------------------------------ copies


def kept_in(model: nn.Module) -> list[KeptLinear]:
    return [module for module in model.modules() if isinstance(module, KeptLinear)]


def test_in_float32_without_products_it_is_the_model_itself() -> None:
    model = language_model()
    runner = PlainRunner.of(model, torch.float32, has_products=False)
    assert runner.training is runner.decoding is model


def test_in_bfloat16_only_linear_weights_are_held_twice_for_decoding() -> None:
    model = language_model(tie_word_embeddings=True)
    runner = PlainRunner.of(model, torch.bfloat16, has_products=False)
    runner.prefill(PROMPTS)
    assert runner.training is model
    copy = runner.decoding
    assert copy.model.embed_tokens.weight is model.model.embed_tokens.weight
    assert copy.model.norm.weight is model.model.norm.weight
    assert len(kept_in(copy)) == 2 * 7 + 1
    for one in kept_in(copy):
        is_head = one.weight is model.lm_head.weight
        assert one(torch.ones(1, one.weight.shape[1])).dtype is (torch.float32 if is_head else torch.bfloat16)


def test_small_matrices_and_other_types_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (language_model(), language_model().double()):
        runner = PlainRunner.of(model, torch.float32, has_products=True)
        runner.prefill(PROMPTS)
        assert kept_in(runner.decoding) == kept_in(runner.training) == []
        monkeypatch.setattr("strop.compute.products.FEWEST", 1)  # float64 is never packed


@packs
@PACKED_TYPES
@PRODUCTS
@FULL_OR_LORA
def test_what_trains_is_held_once_at_a_time(
    lora: LoRA | None, has_products: bool, dtype: torch.dtype, however_small: None
) -> None:
    model = adapted("llama", lora)
    runner = PlainRunner.of(model, dtype, has_products)

    def held(copy: nn.Module) -> list[bool]:
        """Whether each copy that is held trains."""
        held = [one.product for one in kept_in(copy) if one.product._made is not None]
        return [any(source.requires_grad for source in one.sources) for one in held]

    def learn() -> None:
        runner.hidden_at(*CASES["shared"]), runner.head()(torch.zeros(1, 24))

    runner.prefill(PROMPTS)
    decodes = held(runner.decoding)
    assert len(decodes) == (0 if not has_products and dtype is torch.float32 else 2 * 7 * (3 if lora else 1) + 1)
    with torch.no_grad():
        learn()
    assert held(runner.decoding) == decodes
    learn()
    frozen = [False] * decodes.count(False)
    assert held(runner.decoding) == frozen
    trains = held(runner.training)
    assert len(trains) == (2 * 7 * (3 if lora else 1) + 1 if has_products else 0)
    runner.prefill(PROMPTS)
    assert held(runner.training) == [False] * trains.count(False)
    assert held(runner.decoding) == decodes


def test_what_an_adapter_leaves_alone_is_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    rounded = plain_runner.rounded
    monkeypatch.setattr(
        plain_runner, "rounded", lambda layer, dtype: made.append(layer.weight.requires_grad) or rounded(layer, dtype)
    )
    policy = policy_over(language_model(), ADAPTER, "bfloat16", is_plain=True)
    for _ in range(3):
        policy.prefill(PROMPTS)[1].step(torch.tensor([1, 2, 3]))
    assert (made.count(False), made.count(True)) == (2 * 7 + 1, 2 * 7 * 2)
    move(policy)
    policy.prefill(PROMPTS)[1].step(torch.tensor([1, 2, 3]))
    assert (made.count(False), made.count(True)) == (2 * 7 + 1, 2 * 7 * 4)


def test_a_twin_has_copies_of_its_own() -> None:
    policy = policy_over(language_model(), dtype="bfloat16", is_plain=True)
    start = both(policy)[0]
    twin = policy.twin()
    move(twin)
    assert alike(*both(twin))
    assert torch.equal(both(policy)[0], start)


@PRODUCTS
@EVERY
def test_in_bfloat16_the_gap_is_rounding(name: str, has_products: bool, however_small: None) -> None:
    model = model_of(name)
    scale = model(torch.tensor([PROMPTS[0]])).logits.abs().max().item()
    gap = decoding_gap(PlainRunner.of(model, torch.bfloat16, has_products), model, [[0, 0, 1], [2, 1]])
    assert 1e-4 < gap / scale < 0.05
