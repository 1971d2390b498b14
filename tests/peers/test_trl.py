"""The same random batches through TRL's own loss, where TRL is installed: values and gradients must be equal."""

from __future__ import annotations

import warnings
from collections import defaultdict
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, turn
from strop.functional.aggregation import constant, sequence_mean, token_mean
from strop.functional.divergences import KL
from strop.functional.objectives import token_objective
from strop.learners.reference import Reference
from strop.policies.table import Table
from strop.types import Sampling

CASES = {
    "grpo": (sequence_mean, 0.2, 0.2, None),
    "bnpo": (token_mean, 0.2, 0.2, None),
    "dapo": (token_mean, 0.2, 0.28, None),
    "dr_grpo": (partial(constant, max_tokens=8), 0.2, 0.2, None),
    "grpo k3": (sequence_mean, 0.2, 0.2, "k3"),
    "grpo k3_ratio": (sequence_mean, 0.2, 0.2, "k3_ratio"),
    "dapo k3_ratio": (token_mean, 0.2, 0.28, "k3_ratio"),
}
BETA = 0.1


@pytest.fixture(scope="module")
def trl_loss() -> Any:
    """TRL's GRPO loss as a function of tensors: its method on a stub that holds what it reads."""
    pytest.importorskip("trl", reason="TRL is not installed (strop[peers])")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.trainer.grpo_trainer import GRPOTrainer

    def loss(
        kind: str,
        new: Tensor,
        old: Tensor,
        ref: Tensor,
        mask: Tensor,
        advantage: Tensor,
        low: float,
        high: float,
        estimator: str | None,
    ) -> Tensor:
        same = SimpleNamespace(
            gather=lambda x: x,
            reduce=lambda x, reduction: x,
            gather_for_metrics=lambda x: x,
            num_processes=1,
            sync_gradients=True,
        )
        stub = SimpleNamespace(
            _get_per_token_logps_and_entropies=lambda *args, **kwargs: (new, torch.zeros_like(new), None),
            accelerator=same,
            args=SimpleNamespace(use_bias_correction_kl=estimator == "k3_ratio", delta=None, steps_per_generation=1),
            model=SimpleNamespace(training=True),
            _metrics={"train": defaultdict(list)},
            loss_type=kind, beta=0.0 if estimator is None else BETA, epsilon_low=low, epsilon_high=high,
            importance_sampling_level="token", top_entropy_quantile=1.0, off_policy_mask_threshold=None,
            current_gradient_accumulation_steps=1, max_completion_length=8, use_vllm=False,
            vllm_importance_sampling_correction=False, aux_loss_enabled=False, _entropy_bonus_enabled=False,
        )  # fmt: skip
        inputs = {
            "prompt_ids": torch.zeros(len(new), 1, dtype=torch.long),
            "prompt_mask": torch.ones(len(new), 1, dtype=torch.long),
            "completion_ids": torch.zeros(new.shape, dtype=torch.long),
            "completion_mask": mask.long(),
            "advantages": advantage,
            "old_per_token_logps": old,
            "ref_per_token_logps": ref,
            "num_items_in_batch": mask.sum(),
        }
        out: Tensor = GRPOTrainer._compute_loss(stub, None, inputs)
        return out

    return loss


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient_equal_trl(name: str, seed: int, trl_loss: Any) -> None:
    mean, low, high, estimator = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 7, (6,), generator=generator).tolist()
    batch = batch_of(*(episode(turn((0,), range(1, n + 1), None)) for n in lengths))
    shape = batch.tokens_BT[:, 1:].shape

    def noise(scale: float) -> Tensor:
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    new, advantage = noise(1.0) - 3.0, torch.randn(6, generator=generator, dtype=torch.float64)
    old, ref = new + noise(0.3), new + noise(0.5)

    theirs = new.clone().requires_grad_(True)
    mask = batch.action_BT[:, 1:]
    expected = trl_loss(name.split()[0], theirs, old, ref, mask, advantage, low, high, estimator)
    expected.backward()

    def wide(x: Tensor) -> Tensor:
        """Slot t of a batch is the action itself: one slot for the prompt."""
        return torch.cat([x.new_zeros(len(x), 1), x], dim=1)

    ours = wide(new).requires_grad_(True)
    weight_BT = mean(batch)
    loss, _ = token_objective(batch, ours, wide(old), advantage.unsqueeze(1).expand_as(ours), weight_BT, low, high)
    if estimator is not None:
        kl: Any = KL(weight=BETA, placement="loss", estimator=estimator)  # type: ignore[arg-type]
        reference = Reference(kl, Table(8), Sampling(), 4096)
        loss = loss + (weight_BT * reference.loss(batch, {"logprobs": ours}, wide(old), wide(ref))).sum()
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert torch.allclose(ours.grad[:, 1:], theirs.grad, atol=1e-13)
