"""The preference methods on fixed numbers, against the losses and gradients that TRL 1.16 gives for them.

`record_preferences.py` says which of TRL's functions were asked, and how. An algorithm is run as it stands, on a policy
whose parameters are the very log-probs (or scores): a step of SGD at rate 1 moves them by minus the gradient. Each pair
is the only one of its prompt, so the mean over prompts is TRL's mean over pairs.

By definition ours and TRL's differ in IPO (TRL divides each log-ratio by its answer's length) and in ORPO's first term
(TRL's averages over the prompt's tokens too): the tests say what must then be equal.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from exact.build import batch_of, episode, turn
from peers.record_preferences import FILE, losses
from strop.algorithms.dpo import DPO
from strop.algorithms.ipo import IPO
from strop.algorithms.kto import KTO
from strop.algorithms.orpo import ORPO
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.robust_dpo import RobustDPO
from strop.algorithms.simpo import SimPO
from strop.optimizer import SGD
from strop.types import Batch, Sampling, WeightsLock

GOLDEN = json.loads(FILE.read_text())
NUMBERS, WITH = GOLDEN["numbers"], GOLDEN["settings"]
SIDES = ("chosen", "rejected")
ONE = SGD(lr=1.0)


class Numbers:
    """A policy that says given numbers: log-probs [answers, T] of answer i of prompt i % pairs, or a score of each.

    Answers behind another prompt than their own have `mismatched` numbers, on their first token.
    """

    layout, vocabulary, context, has_values = "per_turn", 99, None, True

    def __init__(self, numbers: Tensor, lengths: list[int], mismatched: list[float], reference: Any = None) -> None:
        self.numbers, self.lengths, self.mismatched = Parameter(numbers), lengths, mismatched
        self.frozen, self.lock = reference, WeightsLock()

    def parameters(self) -> list[Parameter]:
        return [self.numbers]

    def reference(self) -> Any:
        return self.frozen

    def heads(self, batch: Batch, reduce: Any, want: Any = frozenset({"logits"})) -> dict[str, Tensor]:
        number_BT = torch.zeros(batch.tokens_BT.shape, dtype=torch.float64)
        for row, answer in enumerate(batch.episode_B.tolist()):
            if "value" in want:
                number_BT = number_BT.index_put((torch.tensor(row),), self.numbers[answer])
            elif int(batch.tokens_BT[row, 0]) == answer % len(NUMBERS["policy chosen"]):
                slots = torch.arange(1, 1 + self.lengths[answer])
                number_BT = number_BT.index_put((torch.tensor(row), slots), self.numbers[answer, slots - 1])
            else:
                number_BT[row, 1] = self.mismatched[answer]
        return {"value" if "value" in want else "logprobs": number_BT}


def answers(prefix: str = "") -> tuple[Numbers, Batch]:
    """The policy, with its reference, and a pair for each prompt: the chosen answers, then the rejected ones."""

    def read(who: str, reference: Any = None) -> Numbers:
        rows = [torch.tensor(row, dtype=torch.float64) for side in SIDES for row in NUMBERS[f"{prefix}{who} {side}"]]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return Numbers(padded, [len(row) for row in rows], NUMBERS[f"mismatched {who}"], reference)

    policy = read("policy", read("reference"))
    pairs = len(policy.lengths) // 2
    said = [
        episode(turn((i % pairs,), (50,) * n, None), reward=float(i < pairs), group=i % pairs)
        for i, n in enumerate(policy.lengths)
    ]
    return policy, batch_of(*said, layout="per_turn")


def step(config: Any, policy: Numbers, batch: Batch) -> tuple[float, list[float]]:
    """The loss, and its gradient with respect to every number that is read."""
    before = policy.numbers.detach().clone()
    update = config.build(policy, Sampling(), 4096).update(batch)
    moved = before - policy.numbers.detach()
    if moved.dim() > 1:
        moved = torch.cat([row[:n] for row, n in zip(moved, policy.lengths, strict=True)])
    return update.metrics["optimizer/loss"].value, moved.tolist()


def golden(name: str) -> tuple[float, list[float]]:
    loss, gradient = GOLDEN["losses"][name]["loss"], GOLDEN["losses"][name]["gradient"]
    rows = [x for side in gradient for x in side]
    return loss, [x for row in rows for x in row] if isinstance(rows[0], list) else rows


def assert_equal(got: tuple[float, list[float]], wanted: tuple[float, list[float]]) -> None:
    assert got[0] == pytest.approx(wanted[0], abs=1e-12)
    assert got[1] == pytest.approx(wanted[1], abs=1e-12)


CONFIGS = {
    "dpo": DPO.Config(optimizer=ONE, beta=WITH["beta"]),
    "conservative dpo": DPO.Config(optimizer=ONE, beta=WITH["beta"], smoothing=WITH["smoothing"]),
    "robust dpo": RobustDPO.Config(optimizer=ONE, beta=WITH["beta"], flipped=WITH["flipped"]),
    "ipo": IPO.Config(optimizer=ONE, tau=WITH["tau"]),
    "simpo": SimPO.Config(optimizer=ONE, beta=WITH["simpo_beta"], gamma=WITH["gamma"]),
    "kto": KTO.Config(
        optimizer=ONE, beta=WITH["beta"], desirable=WITH["desirable"], undesirable=WITH["undesirable"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_the_loss_and_its_gradient_equal_trl(name: str) -> None:
    assert_equal(step(CONFIGS[name], *answers()), golden(name))


def test_kto_cuts_its_baseline_at_0_as_trl_does() -> None:
    policy, batch = answers()
    policy.mismatched, policy.frozen.mismatched = policy.frozen.mismatched, policy.mismatched
    assert_equal(step(CONFIGS["kto"], policy, batch), golden("kto, the other way round"))
    assert golden("kto") != golden("kto, the other way round")


def test_ipo_with_tau_over_the_length_is_trls_a_token() -> None:
    # answers of L = 3 tokens: (d / L - 1 / 2 tau)^2 = (d - 1 / (2 tau / L))^2 / L^2
    loss, gradient = step(IPO.Config(optimizer=ONE, tau=WITH["tau"] / 3), *answers("even "))
    assert_equal((loss / 9, [x / 9 for x in gradient]), golden("ipo a token"))


def test_orpos_odds_ratio_term_equals_trl() -> None:
    loss, gradient = step(ORPO.Config(optimizer=ONE, weight=WITH["orpo_weight"]), *answers())
    first, part = step(ORPO.Config(optimizer=ONE, weight=0.0), *answers())
    assert_equal((loss - first, [a - b for a, b in zip(gradient, part, strict=True)]), golden("orpo"))


def test_the_reward_model_equals_trl() -> None:
    _, batch = answers()
    scores = torch.tensor([*NUMBERS["score chosen"], *NUMBERS["score rejected"]], dtype=torch.float64)
    config = RewardModel.Config(optimizer=ONE, margin=WITH["margin"], centring=WITH["centring"])
    assert_equal(step(config, Numbers(scores, [], []), batch), golden("reward model"))


def test_the_numbers_are_those_of_the_installed_trl() -> None:
    pytest.importorskip("trl", reason="TRL is not installed (strop[peers])")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = losses(NUMBERS)
    for name, made in found.items():
        assert made["loss"] == pytest.approx(GOLDEN["losses"][name]["loss"], abs=1e-12)
