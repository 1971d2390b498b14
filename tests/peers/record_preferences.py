"""Write `preferences.json`: what TRL's own preference losses and their gradients are on fixed numbers.

    python tests/peers/record_preferences.py      where TRL 1.16.0 is installed (strop[peers])

TRL's methods run on stubs that hold the few attributes which they read, in float64, without a model: the stub of a
model returns the log-probs that are given. Recorded are the numbers, not the code:

    DPO, robust DPO     DPOTrainer._compute_loss, "sigmoid" and "robust" (it reads no label smoothing in "sigmoid")
    IPO a token         DPOTrainer._compute_loss, "ipo", which divides by the length: on answers of 3 tokens
    KTO                 KTOTrainer._compute_loss, with given log-probs of the mismatched answers
    reward model        RewardTrainer.compute_loss with a margin and centring
    conservative DPO    CPOTrainer.cpo_loss (trl.experimental), "sigmoid" with label smoothing, given log-ratios, since
                        CPO itself has no reference
    IPO                 the same with "ipo": eq. 17 of the log-ratios that it is given
    SimPO               the same with "simpo", given mean log-probs
    ORPO                ORPOTrainer.odds_ratio_loss (trl.experimental): the odds-ratio term alone, its cast to float32
                        turned into one to float64. Its other term averages over the prompt's tokens too
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

FILE = Path(__file__).with_name("preferences.json")
PAIRS, LONGEST = 4, 5
LENGTHS = {"chosen": [5, 2, 3, 1], "rejected": [3, 4, 1, 2]}
SETTINGS = {
    "beta": 0.4, "smoothing": 0.2, "flipped": 0.3, "tau": 0.3, "simpo_beta": 2.0, "gamma": 0.7, "orpo_weight": 0.3,
    "desirable": 1.3, "undesirable": 0.7, "margin": 0.5, "centring": 0.1,
}  # fmt: skip
Numbers = list[float]


def numbers() -> dict[str, Any]:
    """Log-probs a token of chosen and rejected answers under policy and reference, of answers behind other prompts, and
    scores: drawn once."""
    generator = torch.Generator().manual_seed(20)

    def logprobs(lengths: list[int]) -> list[Numbers]:
        drawn = [-torch.rand(n, generator=generator, dtype=torch.float64) * 2 - 0.05 for n in lengths]
        return [one.tolist() for one in drawn]

    of = {f"{who} {side}": logprobs(LENGTHS[side]) for side in LENGTHS for who in ("policy", "reference")}
    even = {f"even {who} {side}": logprobs([3] * PAIRS) for side in LENGTHS for who in ("policy", "reference")}
    swapped = {f"mismatched {who}": (-torch.rand(2 * PAIRS, generator=generator).double() * 6).tolist()
               for who in ("policy", "reference")}  # fmt: skip
    scores = torch.randn(2, PAIRS, generator=generator, dtype=torch.float64).tolist()
    return of | even | swapped | {"score chosen": scores[0], "score rejected": scores[1]}


class Given:
    """One side's log-probs [pairs, LONGEST], 0 behind the answer, and which of them are there."""

    def __init__(self, ragged: list[Numbers]) -> None:
        self.lengths = torch.tensor([len(row) for row in ragged])
        rows = [row + [0.0] * (LONGEST - len(row)) for row in ragged]
        self.logprobs = torch.tensor(rows, dtype=torch.float64).requires_grad_()
        self.mask = torch.arange(LONGEST) < self.lengths.unsqueeze(1)

    @property
    def sums(self) -> Tensor:
        return self.logprobs.sum(dim=1)

    def gradient(self) -> list[Numbers]:
        """Of each token that is there."""
        assert self.logprobs.grad is not None
        return [row[:n].tolist() for row, n in zip(self.logprobs.grad, self.lengths.tolist(), strict=True)]


def same() -> Any:
    """An accelerator of one process."""
    return SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x)


def outputs(logprobs: Tensor) -> Any:
    """What TRL's fused head returns; all but the log-probs is for its metrics."""
    zeros = torch.zeros_like(logprobs).detach()
    return SimpleNamespace(log_probs=logprobs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool(), aux_loss=None)


def stub(**more: Any) -> Any:
    """What both trainers read of themselves."""
    return SimpleNamespace(
        model=SimpleNamespace(training=True), accelerator=same(), aux_loss_enabled=False, _tp_size=1,
        _total_train_tokens=0, _metrics={"train": defaultdict(list)}, **more,
    )  # fmt: skip


def completion(mask: Tensor) -> dict[str, Tensor]:
    """Inputs of one prompt token and the answer's."""
    wide = torch.cat([torch.zeros(len(mask), 1, dtype=torch.bool), mask], dim=1)
    return {"input_ids": torch.ones_like(wide).long(), "attention_mask": wide.long(), "completion_mask": wide.long()}


def recorded(loss: Tensor, *sides: Given) -> dict[str, Any]:
    loss.backward()
    return {"loss": loss.item(), "gradient": [side.gradient() for side in sides]}


def dpo(of: dict[str, Any], kind: str, prefix: str = "", beta: float = SETTINGS["beta"]) -> dict[str, Any]:
    from trl.trainer.dpo_trainer import DPOTrainer

    chosen, rejected = (Given(of[f"{prefix}policy {side}"]) for side in LENGTHS)
    reference = [Given(of[f"{prefix}reference {side}"]).sums.detach() for side in LENGTHS]
    trainer = stub(
        ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl", loss_types=[kind], loss_weights=[1.0],
        beta=beta, label_smoothing=SETTINGS["flipped"], use_weighting=False,
    )  # fmt: skip
    inputs = completion(torch.cat([chosen.mask, rejected.mask]))
    inputs |= {"ref_chosen_logps": reference[0], "ref_rejected_logps": reference[1]}

    def model(**_: Any) -> Any:
        return outputs(torch.cat([chosen.logprobs, rejected.logprobs]))

    return recorded(DPOTrainer._compute_loss(trainer, model, inputs, False), chosen, rejected)


def kto(of: dict[str, Any], swaps: bool) -> dict[str, Any]:
    """Chosen answers are desirable. With `swaps` policy and reference change places behind other prompts: z0 is cut."""
    from trl.trainer.kto_trainer import KTOTrainer

    chosen, rejected = (Given(of[f"policy {side}"]) for side in LENGTHS)
    reference = torch.cat([Given(of[f"reference {side}"]).sums.detach() for side in LENGTHS])
    policy_kl, reference_kl = (
        torch.tensor(of[f"mismatched {who}"], dtype=torch.float64) for who in ("policy", "reference")
    )
    if swaps:
        policy_kl, reference_kl = reference_kl, policy_kl
    trainer = stub(
        precompute_ref_logps=True, calculate_KL=True, loss_type="kto", beta=SETTINGS["beta"],
        desirable_weight=SETTINGS["desirable"], undesirable_weight=SETTINGS["undesirable"],
        _compute_kl_logps=lambda model, batch: policy_kl,
    )  # fmt: skip
    inputs = completion(torch.cat([chosen.mask, rejected.mask]))
    inputs |= {"label": torch.tensor([True] * PAIRS + [False] * PAIRS), "ref_logps": reference}
    inputs |= {"ref_KL_logps": reference_kl}

    def model(**_: Any) -> Any:
        return outputs(torch.cat([chosen.logprobs, rejected.logprobs]))

    return recorded(KTOTrainer._compute_loss(trainer, model, inputs, False), chosen, rejected)


def cpo(of: dict[str, Any], kind: str, beta: float, read: Callable[[Given, Tensor], Tensor]) -> dict[str, Any]:
    from trl.experimental.cpo.cpo_trainer import CPOTrainer

    chosen, rejected = (Given(of[f"policy {side}"]) for side in LENGTHS)
    reference = [Given(of[f"reference {side}"]).sums.detach() for side in LENGTHS]
    smoothing = SETTINGS["smoothing"] if kind == "sigmoid" else 0.0
    trainer = stub(alpha=0.0, beta=beta, loss_type=kind, simpo_gamma=SETTINGS["gamma"], label_smoothing=smoothing)
    loss, *_ = CPOTrainer.cpo_loss(trainer, read(chosen, reference[0]), read(rejected, reference[1]))
    return recorded(loss.mean(), chosen, rejected)


@contextmanager
def float_is_double() -> Iterator[None]:
    cast = Tensor.float
    Tensor.float = Tensor.double  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Tensor.float = cast  # type: ignore[method-assign]


def orpo(of: dict[str, Any]) -> dict[str, Any]:
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    chosen, rejected = (Given(of[f"policy {side}"]) for side in LENGTHS)
    with float_is_double():
        trainer = stub(beta=SETTINGS["orpo_weight"])
        gain, *_ = ORPOTrainer.odds_ratio_loss(trainer, *(side.sums / side.lengths for side in (chosen, rejected)))
    return recorded(-gain.mean(), chosen, rejected)


def reward_model(of: dict[str, Any]) -> dict[str, Any]:
    from trl.trainer.reward_trainer import RewardTrainer

    scores = torch.tensor([of["score chosen"], of["score rejected"]], dtype=torch.float64).requires_grad_()
    trainer = stub(args=SimpleNamespace(center_rewards_coefficient=SETTINGS["centring"]))
    margin = torch.full((PAIRS,), SETTINGS["margin"], dtype=torch.float64)
    inputs = {"margin": margin, "attention_mask": torch.ones(2 * PAIRS, 1)}
    loss = RewardTrainer.compute_loss(trainer, lambda **_: SimpleNamespace(logits=scores.flatten()[:, None]), inputs)
    loss.backward()
    assert scores.grad is not None
    return {"loss": loss.item(), "gradient": scores.grad.tolist()}


def losses(of: dict[str, Any]) -> dict[str, Any]:
    """Loss and gradient of every method."""
    return {
        "dpo": dpo(of, "sigmoid"),
        "robust dpo": dpo(of, "robust"),
        "ipo a token": dpo(of, "ipo", "even ", SETTINGS["tau"]),
        "conservative dpo": cpo(of, "sigmoid", SETTINGS["beta"], lambda side, reference: side.sums - reference),
        "ipo": cpo(of, "ipo", SETTINGS["tau"], lambda side, reference: side.sums - reference),
        "simpo": cpo(of, "simpo", SETTINGS["simpo_beta"], lambda side, _: side.sums / side.lengths),
        "orpo": orpo(of),
        "kto": kto(of, swaps=False),
        "kto, the other way round": kto(of, swaps=True),
        "reward model": reward_model(of),
    }


if __name__ == "__main__":
    from importlib.metadata import version

    drawn = numbers()
    made = {"trl": version("trl"), "torch": version("torch"), "transformers": version("transformers")}
    text = json.dumps({"by": made, "settings": SETTINGS, "numbers": drawn, "losses": losses(drawn)}, indent=1)
    FILE.write_text(text + "\n")
