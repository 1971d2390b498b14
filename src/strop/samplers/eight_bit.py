"""The embedded sampler with 8-bit copies of the weights: faster, and a little off the policy's distribution.

A run measures the gap at every step, and its algorithm corrects for it (`functional.corrections`). Held-out tasks are
judged by the policy itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from strop.functional.bounds import check_at_least
from strop.policies.eight_bit import EightBitDecoder
from strop.policies.transformer import require_transformer
from strop.samplers.local import LocalSampler
from strop.types import Codec, Completion, Policy, SamplerConfig, Sampling, Tokens, check_fields

if TYPE_CHECKING:
    import numpy as np


class EightBit:
    """`LocalSampler`, whose tokens are made in 8 bits. Prompts are read by the policy's own weights.

    Matrices below 2^18 weights stay as they are, and in bfloat16 all but the output head; a model that would gain
    nothing is refused. The same prompts in the same batch are sampled to the same bits. In other company a row's
    float32 numbers differ in their last digits, as `LocalSampler`'s do, and here that may round one of them the other
    way.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(SamplerConfig):
        """Its options.

        batch  the most rows that are decoded together
        """

        shares_weights: ClassVar[bool] = False
        precision: ClassVar[str | None] = "int8"
        batch: int = 64

        def __post_init__(self) -> None:
            check_fields(self)
            check_at_least("sampler.batch", self.batch, 1)

        def build(self, policy: Policy, codec: Codec) -> EightBit:
            """Raises RuntimeError for a torch without 8-bit products, ValueError for a policy that gains nothing."""
            return EightBit(policy, codec.stop, self.batch)

    def __init__(self, policy: Policy, stop: frozenset[int], batch: int = 64) -> None:
        self.stop, self.batch = stop, batch
        self._decoder = EightBitDecoder(require_transformer(policy, "EightBit"))

    def publish(self, policy: Policy) -> None:
        """The next completions are drawn from this policy as it stands then: a copy follows what changed in place."""
        if policy is not self._decoder.policy:
            self._decoder = EightBitDecoder(require_transformer(policy, "EightBit"))

    def sample(
        self, prompts: Sequence[Tokens], sampling: Sampling, rngs: Sequence[np.random.Generator]
    ) -> list[Completion]:
        """One completion a prompt, at most `sampling.max_tokens` long."""
        return LocalSampler(self._decoder, self.stop, self.batch).sample(prompts, sampling, rngs)
