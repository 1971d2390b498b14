"""Whatever a policy does with a model, its modules, its options and its parameters stay as they were."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, gpt2, language_model, policy_over, turn
from strop.compute.fast_runner import FastRunner
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer

PROMPTS = [(1, 2, 3), (4,)]


def learn(policy: Transformer) -> None:
    part = batch_of(episode(turn((1, 2), (3, 4))), episode(turn((1, 2), (5,))))
    logits = policy.heads(part, lambda heads: {"first": heads.logits_NV[:, 0]})["first"]
    torch.autograd.grad(logits.sum(), policy.parameters(), allow_unused=True)


def sample(policy: Any) -> None:
    _, state = policy.prefill(PROMPTS)
    policy.decode(policy.keep(state, [0, 1, 1]), torch.tensor([1, 2, 3]))


def facts(model: Any) -> dict[str, Any]:
    """Its modules by name (themselves, kept alive), their types and calls, hooks, options, and parameters."""
    return {
        "modules": [
            (name, module, type(module), dict(vars(module)).get("forward")) for name, module in model.named_modules()
        ],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "config": copy.deepcopy(model.config.to_dict()),
        "attention": {module.config._attn_implementation for module in model.modules() if hasattr(module, "config")},
        "training": [module.training for module in model.modules()],
        "learns": {name: (id(p), p.requires_grad, p.dtype, p._version) for name, p in model.named_parameters()},
        "buffers": {name: (id(b), b._version) for name, b in model.named_buffers()},
    }


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("llama", "float32"),
        ("lora", "bfloat16"),
        ("plain", "bfloat16"),
        ("plain lora", "float32"),
        ("gpt2", "bfloat16"),
    ],
)
def test_no_pass_changes_the_model(kind: str, dtype: str, however_small: None) -> None:
    lora = LoRA(rank=2, alpha=4) if "lora" in kind else None
    model = gpt2(vocabulary=11) if kind == "gpt2" else language_model()
    policy = policy_over(model, lora, dtype, is_plain="plain" in kind)
    before, weights = facts(model), {name: p.clone() for name, p in model.named_parameters()}
    learn(policy), sample(policy), learn(policy), sample(policy)
    sample(policy.reference()), learn(policy.twin())
    assert facts(model) == before
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
    assert {p.grad for p in model.parameters()} == {None}
    assert before["attention"] == {"sdpa"}


def test_a_pass_that_fails_changes_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = policy_over(language_model())
    before = facts(policy.model)

    def breaks(*_: Any) -> None:
        raise RuntimeError("no memory")

    assert isinstance(policy.runner, FastRunner)
    monkeypatch.setattr(policy.runner.layers[1], "activation", breaks)
    for fails in (learn, sample):
        with pytest.raises(RuntimeError, match="no memory"):
            fails(policy)
    assert facts(policy.model) == before
    monkeypatch.undo()
    learn(policy), sample(policy)
