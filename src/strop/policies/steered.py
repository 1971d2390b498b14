"""A policy steered by action values: the base's distribution times exp(strength * Q), as in ILQL.

Snell et al. 2022 (2206.11871), sec. 4: logits = log pi_beta + strength * (Q - V). V is the same for all actions of a
state, so it cancels in the softmax and is not computed for sampling.

Differs from the paper: `strength` is 1 by default (its Wordle: 32); the best value depends on the scale of the rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.functional.bounds import check_not_negative
from strop.functional.distributions import PLAIN, logprobs_of
from strop.policies._heads import LOGITS
from strop.types import (
    Batch,
    Codec,
    ComputesIn,
    ComputesOn,
    Heads,
    Policy,
    PolicyConfig,
    Reduce,
    State,
    Tokens,
    Want,
    check_fields,
)


class Steered:
    """`base` is frozen; `critic` is trained and gives Q (its logits) and V.

    Heads: `logits` are the steered ones, `q` and `value` the critic's.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options.

        base      the Config of the policy to steer, with value_head=True
        strength  weight of Q (beta); 0 is the base alone
        """

        base: PolicyConfig
        strength: float = 1.0

        def __post_init__(self) -> None:
            check_fields(self)
            check_not_negative("policy.strength", self.strength, hint="0 is the base alone")

        @property
        def computes_on(self) -> ComputesOn:
            """What the base computes on."""
            return self.base.computes_on

        @property
        def computes_in(self) -> ComputesIn:
            """What the base computes in."""
            return self.base.computes_in

        @property
        def acts(self) -> bool:
            """As the base does."""
            return self.base.acts

        def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Steered, Codec]:
            """The frozen base, and a critic that starts as a copy of it: its first Q are the base's logits."""
            critic, codec = self.base.build(seed, dtype, device)
            return Steered(critic.reference(), critic, self.strength), codec

    def __init__(self, base: Policy, critic: Policy, strength: float) -> None:
        self.base, self.critic, self.strength = base, critic, strength
        self.lock = critic.lock  # the base never changes
        self.layout: Literal["joined", "per_turn"] = critic.layout
        self.vocabulary, self.context, self.has_values = critic.vocabulary, critic.context, critic.has_values

    def _steer(self, base_NV: Tensor, q_NV: Tensor) -> Tensor:
        return logprobs_of(base_NV, PLAIN) + self.strength * q_NV

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, tuple[Any, Any]]:
        (base_BV, base), (q_BV, critic) = self.base.prefill(prompts), self.critic.prefill(prompts)
        return self._steer(base_BV, q_BV), (base, critic)

    def decode(self, state: tuple[Any, Any], tokens_B: Tensor) -> tuple[Tensor, tuple[Any, Any]]:
        base_BV, base = self.base.decode(state[0], tokens_B)
        q_BV, critic = self.critic.decode(state[1], tokens_B)
        return self._steer(base_BV, q_BV), (base, critic)

    def keep(self, state: tuple[Any, Any], rows: Sequence[int]) -> tuple[Any, Any]:
        return self.base.keep(state[0], rows), self.critic.keep(state[1], rows)

    def join(self, states: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
        base, critic = zip(*states, strict=True)
        return self.base.join(base), self.critic.join(critic)

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """The critic's chunks. If logits are wanted, the base's logits [N, V] of the whole batch are held as well."""
        if "logits" not in want:
            return self.critic.heads(batch, reduce, want)
        base_NV = _logits(self.base, batch)

        def steer(heads: Heads) -> Mapping[str, Tensor]:
            assert heads.q_NV is not None
            logits_NV = self._steer(base_NV[heads.first : heads.first + len(heads.q_NV)], heads.q_NV)
            return reduce(replace(heads, logits_NV=logits_NV, q_NV=heads.q_NV if "q" in want else None))

        inner: frozenset[Want] = (want - LOGITS) | {"q"}
        return self.critic.heads(batch, steer, inner)

    def reference(self) -> Steered:
        """The same base, and a frozen copy of the critic."""
        return Steered(self.base, self.critic.reference(), self.strength)

    def twin(self) -> Steered:
        """The same base, and a critic of its own."""
        return Steered(self.base, self.critic.twin(), self.strength)

    def parameters(self) -> list[Parameter]:
        """The critic's."""
        return self.critic.parameters()

    def state_dict(self) -> State:
        """The critic's: the base is what the config names."""
        return self.critic.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.critic.load_state_dict(state)


@torch.no_grad()
def _logits(policy: Policy, batch: Batch) -> Tensor:
    """The logits [N, V] at every decision."""
    parts: list[Tensor] = []

    def collect(heads: Heads) -> dict[str, Tensor]:
        assert heads.logits_NV is not None
        parts.append(heads.logits_NV)
        return {}

    policy.heads(batch, collect)
    return torch.cat(parts)
