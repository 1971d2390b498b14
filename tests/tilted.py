"""Another engine that is off by a known amount: it draws from the policy's logits plus a number for each token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from strop.samplers.local import LocalSampler
from strop.types import SamplerConfig


class Tilted:
    """It records the log-probs of the distribution that it draws from, and holds a copy of the weights."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(SamplerConfig):
        tilt: Sequence[float]
        gap: float | None = 2.0

        def build(self, policy: Any, codec: Any) -> Tilted:
            return Tilted(policy, codec.stop, self.tilt)

    def __init__(self, policy: Any, stop: frozenset[int], tilt: Sequence[float]) -> None:
        self.stop, self.tilt = stop, tilt
        self.publish(policy)

    def publish(self, policy: Any) -> None:
        self.inner = LocalSampler(TiltedPolicy(policy.twin(), self.tilt), self.stop)

    def sample(self, prompts: Any, sampling: Any, rngs: Any) -> Any:
        return self.inner.sample(prompts, sampling, rngs)


class TiltedPolicy:
    """A policy's logits plus the tilt [V]."""

    def __init__(self, policy: Any, tilt: Sequence[float]) -> None:
        self.policy, self.lock = policy, policy.lock
        self.tilt_V = torch.tensor(tilt, dtype=torch.float64)

    def prefill(self, prompts: Any) -> tuple[Tensor, Any]:
        logits_BV, state = self.policy.prefill(prompts)
        return logits_BV + self.tilt_V, state

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        logits_BV, state = self.policy.decode(state, tokens_B)
        return logits_BV + self.tilt_V, state

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        return self.policy.keep(state, rows)

    def join(self, states: Sequence[Any]) -> Any:
        return self.policy.join(states)
