"""Planning through the training loop: an `Algorithm` whose update is one planning round on a FiniteMDP.

It ignores the batch: the episodes of a step are played with the current action values, so a run shows how good they are
after each round. A round is a pure function of the action values Q [S, A]:

    value_round        Q(s, a) <- r + discount * sum_t P(t | s, a) max_b Q(t, b)         one sweep of value iteration
    policy_round       Q <- Q^pi of the policy that is greedy in Q, by one linear solve  one round of policy iteration
    MonteCarloRound    Q(s, a) <- the mean first-visit return of paths of the epsilon-greedy policy; no sweep, no solve

Sutton & Barto 2018, ch. 4 and sec. 5.4. State s is the table's row of the prefix `states[s]`, action a its word a: the
actions are the first words of the table's vocabulary. Words that are no action keep their initial value; a
`policy.initial` below every value keeps them unsaid.

Differs from `iterate_values`, `iterate_policies` and `control`: there is no stopping test; the run's steps are the
rounds. Values start from the table. Monte Carlo takes a new mean every round, where `control` continues the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import torch

from strop.functional.bounds import check_at_least, check_share
from strop.learners.tabular import require_table
from strop.memory import Fresh
from strop.planning.evaluation import policy_values
from strop.planning.mdp import FiniteMDP, Floats, action_values, check_discount, deterministic
from strop.planning.monte_carlo import epsilon_greedy, first_visit_action_values, play
from strop.policies.table import Table
from strop.streams import stream
from strop.types import AlgorithmConfig, Batch, Max, Policy, Sampling, State, Update, check_fields

Round: TypeAlias = "Callable[[FiniteMDP, Floats, float, np.random.Generator], Floats]"


def value_round(mdp: FiniteMDP, q_SA: Floats, discount: float, rng: np.random.Generator) -> Floats:
    """One sweep of value iteration; `rng` is not used."""
    return action_values(mdp, q_SA.max(axis=1), discount)


def policy_round(mdp: FiniteMDP, q_SA: Floats, discount: float, rng: np.random.Generator) -> Floats:
    """The exact values of the policy that is greedy in Q (ties: the smallest action); `rng` is not used."""
    return policy_values(mdp, deterministic(q_SA.argmax(axis=1), mdp.num_actions), discount).q_SA


@dataclass(frozen=True, slots=True, kw_only=True)
class MonteCarloRound:
    """One round of first-visit Monte Carlo; pairs of state and action without a visit keep their Q.

    num_paths  paths of the epsilon-greedy policy in a round
    max_steps  maximum length of a path
    epsilon    probability of a uniformly random action
    """

    num_paths: int = 100
    max_steps: int = 100
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("algorithm.round.num_paths", self.num_paths, 1)
        check_at_least("algorithm.round.max_steps", self.max_steps, 1)
        check_share("algorithm.round.epsilon", self.epsilon)

    def __call__(self, mdp: FiniteMDP, q_SA: Floats, discount: float, rng: np.random.Generator) -> Floats:
        policy_SA = epsilon_greedy(q_SA, self.epsilon)
        paths = [play(mdp, policy_SA, rng, self.max_steps) for _ in range(self.num_paths)]
        mean_SA = first_visit_action_values(paths, mdp.num_states, mdp.num_actions, discount)
        seen: Floats = np.where(np.isnan(mean_SA), q_SA, mean_SA)
        return seen


class Planner:
    """One planning round per update, written into the table."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of Planner.

        mdp       the problem
        states    the token ids of each state's context, in the order of the problem's states
        round     the planning method: `value_round`, `policy_round` or a MonteCarloRound
        discount  discount factor per decision; 1 is undiscounted
        seed      random seed of the rounds
        """

        memory: ClassVar[type] = Fresh.Config
        off_policy: ClassVar[bool] = True
        mdp: FiniteMDP
        states: Sequence[Sequence[int]]
        round: Round = value_round
        discount: float = 0.99
        seed: int = 0

        def __post_init__(self) -> None:
            check_fields(self)
            check_discount(self.discount)
            check_at_least("algorithm.seed", self.seed, 0)
            if len(self.states) != self.mdp.num_states:
                raise ValueError(
                    f"algorithm.states names {len(self.states)} of {self.mdp.num_states} states: name all."
                )

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Planner:
            return Planner(self, require_table(policy, "planning"))

    def __init__(self, config: Planner.Config, policy: Table) -> None:
        if config.mdp.num_actions > policy.vocabulary:
            raise ValueError(f"the problem has {config.mdp.num_actions} actions, the table {policy.vocabulary} words.")
        self.config, self.policy, self.num_updates = config, policy, 0

    @torch.no_grad()
    def update(self, batch: Batch) -> Update:
        """The next round; the batch is ignored."""
        config, rows = self.config, [self.policy.row(tuple(state)) for state in self.config.states]
        weight_SA = self.policy.weight[rows, : config.mdp.num_actions]
        before_SA = weight_SA.numpy()
        q_SA = config.round(config.mdp, before_SA, config.discount, stream(config.seed, "planner", self.num_updates))
        with self.policy.lock.changing():
            self.policy.weight[rows, : config.mdp.num_actions] = torch.from_numpy(q_SA)
        self.num_updates += 1
        return Update({"q/error_max": Max(float(np.abs(q_SA - before_SA).max()))})

    def state_dict(self) -> State:
        return {"num_updates": self.num_updates}

    def load_state_dict(self, state: State) -> None:
        self.num_updates = state["num_updates"]
