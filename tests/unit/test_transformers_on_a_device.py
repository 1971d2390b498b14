"""A transformer on the pretended device samples, scores, learns and is saved as on the CPU's plain path.

That no tensor stands on the wrong device, and how often the host waits, is seen here; how a real device rounds, which
of its kernels are missing or not deterministic, speed and memory are seen on the device alone (`make test-gpu`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tiny_hf
from exact.build import batch_of, episode, flat, turn
from exact.learners import GRADIENT, every, learner, lesson
from machine import take_pretended
from strop.functional import gather
from strop.functional.divergences import KL
from strop.optimizer import AdamW, trail
from strop.policies.adapters import LoRA, merged_state_dict
from strop.policies.scratch import Scratch
from strop.policies.steered import Steered
from strop.policies.transformer import Transformer
from strop.runs.state import pack
from strop.runs.tree import unpack
from strop.types import Batch, End, Heads, PolicyConfig, Tokens, Want

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, Transfers, pretended, transfers
from transformer_pairs import ADAPTER, EQUAL, KINDS, PADDED, pair, sampled

pytestmark = pytest.mark.filterwarnings("ignore:fan_in_fan_out")  # peft, of GPT-2's transposed layers
FEW = [
    ("llama", ADAPTER, "bfloat16"),
    ("qwen3", None, "bfloat16"),
    ("gpt2", ADAPTER, "float32"),
    ("gemma", None, "float32"),
]
EVERY_WAY = pytest.mark.parametrize(
    ("kind", "lora", "dtype"),
    [
        pytest.param(*way, marks=[] if way in FEW else pytest.mark.matrix)
        for way in product(KINDS, (None, ADAPTER), ("float32", "bfloat16"))
    ],
)
FULL_OR_LORA = pytest.mark.parametrize(
    "lora", [pytest.param(None, marks=pytest.mark.matrix), ADAPTER], ids=["full", "lora"]
)
VIEWS: dict[str, Callable[[Transformer], Any]] = {
    "twin": lambda policy: policy.twin(),
    "reference": lambda policy: policy.reference(),
    "steered": lambda policy: Steered(policy.reference(), policy.twin(), 0.5),
}


@pytest.fixture(autouse=True)
def _pretended() -> Any:
    with pretended():
        yield


# ---------------------------------------------------------------- sampling


def assert_same_samples(here: Any, there: Any, dtype: str = "float32") -> None:
    """The same tokens, of which each costs one transfer to the host for all rows."""
    expected = sampled(here)
    with transfers() as seen:
        found = sampled(there)
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    near = 1e-5 if dtype == "float32" else 0.1
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=near)
    assert len(seen.to_host) == max(len(one.tokens) for one in found), seen.to_host
    assert seen.random == []


@pytest.mark.matrix
@EVERY_WAY
def test_it_samples_the_cpus_tokens(kind: str, lora: LoRA | None, dtype: str) -> None:
    assert_same_samples(*pair(kind, lora, dtype), dtype)


@pytest.mark.matrix
@FULL_OR_LORA
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_what_is_made_of_it_samples_the_cpus_tokens(view: Callable[[Transformer], Any], lora: LoRA | None) -> None:
    here, there = pair("llama", lora)
    assert_same_samples(view(here), view(there))


@pytest.mark.matrix
@pytest.mark.parametrize("prompts", [EQUAL, PADDED], ids=["equal", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_sent_and_fetched_once_for_all_rows(kind: str, prompts: list[Tokens]) -> None:
    _, there = pair(kind)

    def crossed(num_rows: int, num_tokens: int) -> Transfers:
        with transfers() as seen:
            sampled(there, (prompts * 2)[-num_rows:], num_tokens, frozenset())
        return seen

    few, many, longer = crossed(4, 2), crossed(8, 2), crossed(8, 4)
    assert [len(one.to_host) for one in (few, many, longer)] == [2, 2, 4], longer.to_host
    assert len(few.to_device) == len(many.to_device) == len(longer.to_device) - 2, longer.to_device


# ---------------------------------------------------------------- scoring and learning


def batch() -> Batch:
    """Rows of several lengths, one of them cut."""
    return batch_of(
        episode(turn((1, 2), (3, 4)), turn((1, 2, 3, 4, 6, 6), (5, 0))),
        episode(turn((1,), (2, 2, 2, 2, 2, 2)), end=End.TRUNCATED, final=(1, 2, 2, 2, 2, 2, 2, 3)),
        episode(turn((5, 5, 5), (0,))),
    )


def outputs(policy: Any) -> tuple[dict[str, Tensor], Tensor]:
    """What `heads` gives, and the gradient of a weighted sum of it, on the CPU."""

    def reduce(heads: Heads) -> dict[str, Tensor]:
        logprobs_NV = heads.logits_NV.log_softmax(dim=-1)
        own_N, q_N = gather(logprobs_NV, heads.tokens_N), heads.q_NV.tanh().sum(dim=-1)
        return {"logprob": own_N, "kl": (logprobs_NV.exp() * logprobs_NV).sum(dim=-1), "q": q_N, "value": heads.value_N}

    device = policy.parameters()[0].device
    weight_BT = torch.linspace(-1.0, 2.0, batch().tokens_BT.numel()).view_as(batch().tokens_BT)
    with transfers() as seen:
        found = policy.heads(batch(), reduce, frozenset[Want]({"logits", "q", "value"}))
        loss = sum((one.double() * weight_BT).sum() for one in found.values())
        gradients = torch.autograd.grad(loss, policy.parameters())
    assert {one.device.type for one in found.values()} == {"cpu"}
    assert {one.device for one in gradients} == {device}
    waits = [line for line in seen.to_host if "/transformers/" not in line]  # it asks whether rows are packed
    assert len(waits) == (len(found) if device == DEVICE else 0), waits
    return {name: one.detach() for name, one in found.items()}, flat([one.cpu() for one in gradients])


def assert_same_outputs(here: Any, there: Any, dtype: str = "float32") -> None:
    """One wait for each result, and none in the backward pass."""
    (expected, right), (found, gradient) = outputs(here), outputs(there)
    near = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 0.05, "atol": 0.05}
    torch.testing.assert_close(found, expected, **near)
    assert (gradient - right).norm() / right.norm() < (1e-5 if dtype == "float32" else 0.03)


@EVERY_WAY
def test_it_gives_the_cpus_outputs_and_gradients(
    kind: str, lora: LoRA | None, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strop.compute.output_head.CHUNK_BYTES", 200)  # several chunks, computed again in backward
    assert_same_outputs(*pair(kind, lora, dtype), dtype)


@FULL_OR_LORA
@pytest.mark.parametrize("view", [VIEWS["twin"], VIEWS["steered"]], ids=["twin", "steered"])
def test_what_is_made_of_it_gives_the_cpus_outputs(view: Callable[[Transformer], Any], lora: LoRA | None) -> None:
    here, there = pair("llama", lora)
    assert_same_outputs(view(here), view(there))


@pytest.mark.matrix
@pytest.mark.parametrize("kind", every(GRADIENT))
def test_a_step_of_an_algorithm_is_the_cpus(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    take_pretended(monkeypatch)
    # with a large eps a step goes with the gradient; the usual one would blow a rounding error up to a whole step
    optimizer, found = AdamW(lr=0.02, eps=1e-2), []
    for policy in pair("llama"):
        update = learner(kind, policy, 64, optimizer, KL(weight=0.3)).update(lesson(kind))
        metrics = {name: metric.value for name, metric in update.metrics.items()}
        found.append((metrics, update.per_token, [one.detach().cpu() for one in policy.parameters()]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_target_trails_on_the_device() -> None:
    for policy in pair("llama"):
        target = policy.twin()
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter += 1.0
        expected = [one - 0.75 for one in policy.parameters()]
        trail(target, policy, 0.25)
        torch.testing.assert_close([*target.parameters()], expected)


# ---------------------------------------------------------------- weights


def test_weights_go_from_device_to_device() -> None:
    here, there = pair("llama", ADAPTER)
    saved = unpack(*reversed(pack(there.state_dict())))
    assert there.base_hash() == here.base_hash()
    before = sampled(here)
    with torch.no_grad():
        for parameter in here.parameters():
            parameter.zero_()
    assert sampled(here) != before
    here.load_state_dict(saved)
    assert sampled(here) == before


def test_a_twin_shares_the_base_on_the_device() -> None:
    _, there = pair("llama", ADAPTER)
    twin = there.twin()
    assert {one.device for one in (*twin.model.parameters(), *twin.parameters())} == {DEVICE}
    own = {id(one) for one in there.parameters()}
    for one, other in zip(there.model.parameters(), twin.model.parameters(), strict=True):
        assert (one is other) == (id(one) not in own)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_an_adapter_is_merged_on_the_device(kind: str) -> None:
    here, there = (merged_state_dict(policy.model) for policy in pair(kind, ADAPTER))
    assert {one.device for one in there.values()} == {DEVICE}
    torch.testing.assert_close({name: one.cpu() for name, one in there.items()}, here)


@pytest.mark.parametrize(("lora", "dtype"), [(None, "float32"), (ADAPTER, "bfloat16")], ids=["full", "lora"])
def test_a_folder_is_loaded_to_the_device(lora: LoRA | None, dtype: str, tmp_path: Path) -> None:
    config = Transformer.Config(model=str(tiny_hf.make(tmp_path / "tiny")), lora=lora, value_head=True)
    assert_built_alike(config, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_from_scratch_is_built_on_the_device(dtype: str) -> None:
    assert_built_alike(Scratch(words=[*"abcdefgh"], width=16, num_heads=2, value_head=True), dtype)


def assert_built_alike(config: PolicyConfig, dtype: str) -> None:
    """The same numbers, drawn from the same seed, and the same samples."""
    (there, _), (fast, _) = config.build(3, dtype, str(DEVICE)), config.build(3, dtype)
    here = Transformer(fast.model, fast.has_adapter, dtype, value_head=True, is_plain=True)
    assert {one.device for one in (*there.model.parameters(), *there.parameters())} == {DEVICE}
    assert all(
        map(torch.equal, [one.cpu() for one in there.model.state_dict().values()], here.model.state_dict().values())
    )
    assert_same_samples(here, there, dtype)
