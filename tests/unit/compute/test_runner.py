"""Which way a model runs: the processor's own where it can, and transformers' where it is told to."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from exact.build import gpt2, language_model, policy_over
from strop.compute.fast_runner import MODEL_TYPES, FastRunner
from strop.compute.plain_runner import PlainRunner
from strop.compute.replaced import KeptLinear
from strop.compute.runner import runner_of
from strop.policies.adapters import LoRA
from strop.policies.scratch import Scratch
from strop.policies.transformer import Transformer


def chosen(model: Any, is_plain: bool = False) -> tuple[type, bool | None]:
    """The kind of runner, and for a plain one whether it has the processor's products."""
    runner = runner_of(model, torch.float32, False, is_plain)
    return type(runner), runner.training is not model if isinstance(runner, PlainRunner) else None


def test_the_processor_s_own_path_is_for_models_that_it_knows() -> None:
    for kind in MODEL_TYPES:
        assert chosen(language_model(kind)) == (FastRunner, None)
    assert chosen(gpt2()) == (PlainRunner, True)
    assert chosen(language_model().double()) == (PlainRunner, True)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_plain_path_can_be_asked_for(kind: str) -> None:
    assert chosen(language_model(kind), is_plain=True) == (PlainRunner, False)


def test_another_device_takes_the_plain_path() -> None:
    assert chosen(language_model().to("meta")) == (PlainRunner, False)


def test_a_whole_run_can_be_switched(path: str) -> None:
    policy = Scratch(words=["a", "b"], width=8, num_heads=2).build(0, "float32")[0]
    kind = PlainRunner if path == "plain" else FastRunner
    assert [type(one.runner) for one in (policy, policy.twin(), policy.reference())] == [kind] * 3


@pytest.mark.parametrize("is_plain", [True, False], ids=["plain", "fast"])
@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
def test_copies_of_a_policy_run_as_it_does(lora: LoRA | None, is_plain: bool) -> None:
    policy = policy_over(language_model(), lora, is_plain=is_plain)
    twin = policy.twin()
    runners = [policy.runner, twin.runner, policy.runner.without_adapter()]
    if lora is None:
        runners.append(policy.reference().runner)
    assert {type(one) for one in runners} == {PlainRunner if is_plain else FastRunner}
    if isinstance(twin.runner, PlainRunner):
        assert twin.runner.training is twin.model  # without the processor's products
    assert twin.model is not policy.model


def test_the_base_under_an_adapter_shares_the_copies_of_frozen_weights(however_small: None) -> None:
    policy = policy_over(language_model("olmo2"), LoRA(rank=2, alpha=4), "bfloat16")
    runner = policy.runner
    assert isinstance(runner, PlainRunner)
    base = runner.without_adapter()
    assert not any("lora" in name for name, _ in base.training.named_modules())
    for ours, theirs in ((runner.training, base.training), (runner.decoding, base.decoding)):
        kept = [{id(m.product) for m in one.modules() if isinstance(m, KeptLinear)} for one in (ours, theirs)]
        assert kept[1]
        assert kept[1] <= kept[0]


@pytest.mark.parametrize("is_plain", [True, False], ids=["plain", "fast"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_copy_of_a_policy_that_has_run_learns_for_itself(dtype: str, is_plain: bool, however_small: None) -> None:
    policy = policy_over(
        copy.deepcopy(language_model()), None, dtype, is_plain=is_plain
    )  # as unchanged as a loaded one
    tokens_BT, decision_BT = torch.tensor([[1, 2, 3]]), torch.tensor([[False, False, True]])

    def logits(one: Transformer) -> torch.Tensor:
        return one.runner.head()(one.runner.hidden_at(tokens_BT, decision_BT))

    start = logits(policy)
    for other in (copy.deepcopy(policy), policy.twin()):
        logits(other).sum().backward()
        assert all(parameter.grad is not None for parameter in other.parameters())
        assert all(parameter.grad is None for parameter in policy.parameters())
        with torch.no_grad():
            other.parameters()[-1].mul_(2)
        assert torch.equal(logits(policy), start)
        assert not torch.equal(logits(other), start)
