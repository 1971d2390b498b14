"""The learner of the tabular temporal-difference methods: a table of action values, corrected decision by decision.

A method is its target: what Q(s, a) is moved towards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from strop.functional.aggregation import largest_per_pick
from strop.functional.bounds import check_positive_share, check_share
from strop.memory import Fresh
from strop.policies.table import Table
from strop.types import AlgorithmConfig, Batch, Max, Mean, Metrics, Policy, State, Tokens, Update, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularConfig(AlgorithmConfig):
    """Options of every tabular method.

    rate        learning rate of a correction (alpha)
    rate_decay  exponent of the decay of the rate with visits; 0 keeps the rate
    discount    discount factor per decision; 1 is undiscounted
    """

    memory: ClassVar[type] = Fresh.Config
    rate: float = 0.1
    rate_decay: float = 0.0
    discount: float = 0.99

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive_share("algorithm.rate", self.rate)
        check_share("algorithm.rate_decay", self.rate_decay, hint="0 keeps the rate")
        check_share("algorithm.discount", self.discount)


@dataclass(frozen=True, slots=True)
class Decision:
    """A transition: `action` in the context of table row `row`, and its outcome.

    `after` is the row of the next decision, None where the episode terminated; `next_action` is the action there, None
    where the episode was truncated; `allowed` are the tokens that might be it, None where all might. `weight` is the
    pick's, `version` that of the policy that acted.
    """

    row: int
    action: int
    reward: float
    after: int | None
    next_action: int | None
    weight: float
    version: int
    allowed: Tokens | None = None


class ActionValues:
    """Q [rows, V], corrected one entry at a time, and the number of corrections of each.

    The rate of correction n of a pair (counted from 0) is rate / (n + 1)^rate_decay. With a decay in
    (0.5, 1] the Robbins-Monro conditions hold; rate 1 and decay 1 make each entry the mean of its targets.
    """

    def __init__(self, q_RV: Tensor, rate: float, rate_decay: float) -> None:
        self.q_RV, self.rate, self.rate_decay = q_RV, rate, rate_decay
        self.visits_RV = torch.zeros(q_RV.shape, dtype=torch.int64)
        # the same memory through numpy, which reads and writes a single number several times as fast
        self._q, self._visits = q_RV.detach().numpy(), self.visits_RV.numpy()

    def best(self, row: int, allowed: Tokens | None) -> float:
        """max_b Q(s, b), of the tokens that are allowed; None allows all."""
        return float((self._q[row] if allowed is None else self._q[row, list(allowed)]).max())

    def best_action(self, row: int, allowed: Tokens | None) -> int:
        """argmax_b Q(s, b), of the tokens that are allowed (ties: the smallest)."""
        if allowed is None:
            return int(self._q[row].argmax())
        return allowed[int(self._q[row, list(allowed)].argmax())]

    def visits(self, decision: Decision) -> int:
        """The number of corrections of Q(s, a)."""
        return int(self._visits[decision.row, decision.action])

    def correct(self, decision: Decision, target: float) -> float:
        """Move Q(s, a) towards the target; returns the temporal-difference error."""
        pair = decision.row, decision.action
        error = target - float(self._q[pair])
        rate = self.rate / (1 + int(self._visits[pair])) ** self.rate_decay
        self._q[pair] += decision.weight * rate * error
        self._visits[pair] += 1
        return error


Target = Callable[[Decision, ActionValues, ActionValues], float | None]
"""(decision, the table to correct, the other table) -> target of Q(s, a); None leaves it unchanged."""


@final
class Tabular:
    """One pass over the batch's decisions in order: later ones see the earlier corrections.

    With one table the policy's own is corrected, and is both arguments of the target. With `num_tables` 2 the policy
    holds the mean of two tables; of these, the one with fewer visits of the pair is corrected.
    """

    def __init__(self, name: str, config: TabularConfig, policy: Policy, target: Target, num_tables: int = 1) -> None:
        self.policy, self.target = require_table(policy, name), target
        weight_RV = self.policy.weight
        numbers = [weight_RV] if num_tables == 1 else [weight_RV.detach().clone() for _ in range(num_tables)]
        self.tables = [ActionValues(q_RV, config.rate, config.rate_decay) for q_RV in numbers]

    @torch.no_grad()
    def update(self, batch: Batch) -> Update:
        """Correct the table in place."""
        error_BT = torch.zeros_like(batch.rewards_BT)
        written_BT = error_BT.numpy()  # the same memory
        largest, total, count = 0.0, 0.0, 0
        with self.policy.lock.changing():
            for b, t, decision in decisions(batch, self.policy):
                error = self._correct(decision)
                if error is None:
                    continue
                written_BT[b, t] = error
                largest, total, count = max(largest, abs(error)), total + abs(error), count + 1
        metrics: Metrics = {"q/error_mean": Mean(total, count), "q/error_max": Max(largest)}
        return Update(metrics, per_token={"td_error": error_BT}, priority_K=largest_per_pick(error_BT.abs(), batch))

    def _correct(self, decision: Decision) -> float | None:
        """The temporal-difference error, or None where the decision is skipped."""
        own, other = self.tables[0], self.tables[-1]
        if other.visits(decision) < own.visits(decision):
            own, other = other, own
        target = self.target(decision, own, other)
        if target is None:
            return None
        error = own.correct(decision, target)
        if own is not other:
            pair = decision.row, decision.action
            self.policy.weight[pair] = (own.q_RV[pair] + other.q_RV[pair]) / 2
        return error

    def state_dict(self) -> State:
        return {name: number_RV.clone() for name, number_RV in self._kept().items()}

    def load_state_dict(self, state: State) -> None:
        for name, number_RV in self._kept().items():
            number_RV.copy_(state[name])

    def _kept(self) -> dict[str, Tensor]:
        """The tensors to save, by name; the run saves the policy's table."""
        kept = {f"visits_{i}": table.visits_RV for i, table in enumerate(self.tables)}
        if len(self.tables) > 1:
            kept |= {f"values_{i}": table.q_RV for i, table in enumerate(self.tables)}
        return kept


def decisions(batch: Batch, table: Table) -> Iterator[tuple[int, int, Decision]]:
    """(b, t, decision) of every scored action, in the order of play."""
    width, order = batch.tokens_BT.shape[1], table.order
    # reading single numbers is several times as fast from numpy as from torch, and from lists faster still
    tokens_BT, acts_BT, allowed_BT = batch.tokens_BT.numpy(), batch.action_BT.numpy(), batch.allowed_BT.numpy()
    sets = [tuple(token for token in one if token >= 0) for one in batch.allowed_SK.tolist()]
    weights, versions = batch.weight_B.tolist(), batch.version_B.tolist()
    of_actions = (t_BT[batch.action_BT].tolist() for t_BT in (batch.tokens_BT, batch.rewards_BT, batch.next_BT))

    def row_before(b: int, t: int) -> int:
        # the table reads only the last `order` tokens: do not copy more
        return table.row(tuple(tokens_BT[b, max(t - order, 0) if order else 0 : t].tolist()))

    for (b, t), action, reward, following in zip(batch.action_BT.nonzero().tolist(), *of_actions, strict=True):
        if weights[b] == 0.0:
            continue
        row, after, next_action, allowed = row_before(b, t), None, None, None
        if following >= 0:
            next_b, next_t = divmod(following, width)
            after = row_before(next_b, next_t)
            next_action = int(tokens_BT[next_b, next_t]) if acts_BT[next_b, next_t] else None
            allowed = sets[allowed_BT[next_b, next_t]] if allowed_BT[next_b, next_t] >= 0 else None
        yield b, t, Decision(row, action, reward, after, next_action, weights[b], versions[b], allowed)


def require_table(policy: Policy, name: str) -> Table:
    """The policy, if it is a table."""
    if not isinstance(policy, Table):
        raise ValueError(f"{name} is tabular: set policy=strop.policies.Table.Config(words=[...]).")
    return policy
