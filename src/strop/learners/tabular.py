"""What the tabular temporal-difference methods share: decisions in order, the rate that visits shrink, the metrics.

A method is then its target: what Q(s, a) is moved towards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from strop.functional.aggregation import largest_per_pick
from strop.functional.bounds import check_positive_share, check_share
from strop.policies.table import Table
from strop.types import Batch, Max, Mean, Metrics, Policy, Update


@dataclass(frozen=True, slots=True)
class Decision:
    """Action `action` in the context of table row `row`, and what came of it.

    `after` is the row of the next decision, None where the episode terminated; `next_action` is what was taken there,
    None where the episode was cut before. `weight` is the pick's, `version` the policy's that acted.
    """

    row: int
    action: int
    reward: float
    after: int | None
    next_action: int | None
    weight: float
    version: int


class Book:
    """Numbers [rows, V] that are corrected one at a time, and how often each of them was.

    The rate of the correction number n of a pair, counted from 0, is rate / (n + 1)^rate_decay. With a decay in
    (0.5, 1] the Robbins-Monro conditions hold; rate 1 and decay 1 make each number the mean of its targets.
    """

    def __init__(self, number_RV: Tensor, rate: float, rate_decay: float) -> None:
        self.number_RV, self.rate, self.rate_decay = number_RV, rate, rate_decay
        self.visits_RV = torch.zeros(number_RV.shape, dtype=torch.int64)
        # the same memory through numpy, which reads and writes a single number several times as fast
        self._numbers, self._visits = number_RV.detach().numpy(), self.visits_RV.numpy()

    def best(self, row: int) -> float:
        """max_b Q(s, b)."""
        return float(self._numbers[row].max())

    def correct(self, decision: Decision, target: float) -> float:
        """Move Q(s, a) towards the target; returns the temporal-difference error."""
        place = decision.row, decision.action
        error = target - float(self._numbers[place])
        rate = self.rate / (1 + int(self._visits[place])) ** self.rate_decay
        self._numbers[place] += decision.weight * rate * error
        self._visits[place] += 1
        return error


def decisions(batch: Batch, table: Table) -> Iterator[tuple[int, int, Decision]]:
    """(b, t, decision) of every scored action, in the order in which they were taken."""
    width, order = batch.tokens_BT.shape[1], table.order
    # numpy hands out single numbers several times as fast as torch, and lists many times
    tokens_BT, acts_BT = batch.tokens_BT.numpy(), batch.action_BT.numpy()
    weights, versions = batch.weight_B.tolist(), batch.version_B.tolist()
    of_actions = (t_BT[batch.action_BT].tolist() for t_BT in (batch.tokens_BT, batch.rewards_BT, batch.next_BT))

    def row_before(b: int, t: int) -> int:
        # the table would cut the prefix to its order itself; a long one is not even copied
        return table.row(tuple(tokens_BT[b, max(t - order, 0) if order else 0 : t].tolist()))

    for (b, t), action, reward, following in zip(batch.action_BT.nonzero().tolist(), *of_actions, strict=True):
        if weights[b] == 0.0:
            continue
        row, after, next_action = row_before(b, t), None, None
        if following >= 0:
            next_b, next_t = divmod(following, width)
            after = row_before(next_b, next_t)
            next_action = int(tokens_BT[next_b, next_t]) if acts_BT[next_b, next_t] else None
        yield b, t, Decision(row, action, reward, after, next_action, weights[b], versions[b])


@torch.no_grad()
def sweep(batch: Batch, table: Table, correct: Callable[[Decision], float | None]) -> Update:
    """Correct every decision in turn; later ones see the earlier corrections. `correct` returns its error, or None
    where it left the decision alone."""
    error_BT = torch.zeros_like(batch.rewards_BT)
    written_BT = error_BT.numpy()  # the same memory
    largest, total, count = 0.0, 0.0, 0
    for b, t, decision in decisions(batch, table):
        error = correct(decision)
        if error is None:
            continue
        written_BT[b, t] = error
        largest, total, count = max(largest, abs(error)), total + abs(error), count + 1
    metrics: Metrics = {"q/error_mean": Mean(total, count), "q/error_max": Max(largest)}
    return Update(metrics, per_token={"td_error": error_BT}, priority_K=largest_per_pick(error_BT.abs(), batch))


def require_table(policy: Policy, who: str) -> Table:
    """The policy, if it is a table."""
    if not isinstance(policy, Table):
        raise ValueError(f"{who} here is tabular: set policy=strop.policies.Table.Config(words=[...]).")
    return policy


def check_rates(rate: float, rate_decay: float, discount: float) -> None:
    """Refuse numbers that no temporal-difference method can use."""
    check_positive_share("algorithm.rate", rate)
    check_share("algorithm.rate_decay", rate_decay, hint="0 keeps the rate")
    check_share("algorithm.discount", discount)
