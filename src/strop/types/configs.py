"""What the fields of a TrainConfig may be: records that build the parts of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from strop.types.protocols import Algorithm, Codec, Memory, Policy, Sampler
    from strop.types.sampling import Sampling


@runtime_checkable
class PolicyConfig(Protocol):
    """What `TrainConfig.policy` may be, beside a model's name."""

    def build(self, seed: int, dtype: str) -> tuple[Policy, Codec]: ...


@runtime_checkable
class SamplerConfig(Protocol):
    """What `TrainConfig.sampler` may be. One that `shares_weights` records the learner's own log-probs."""

    shares_weights: ClassVar[bool]

    def build(self, policy: Policy, codec: Codec) -> Sampler: ...


@runtime_checkable
class MemoryConfig(Protocol):
    """What `TrainConfig.memory` may be."""

    def build(self) -> Memory: ...


@runtime_checkable
class AlgorithmConfig(Protocol):
    """What `TrainConfig.algorithm` may be: `reads` says from what it learns, `memory` which memory suits it.

    One whose memory is Fresh is on-policy, unless it says `off_policy: ClassVar[bool] = True`. What it asks of a step's
    episodes, such as how many of a task it needs to compare, it says as `extras: ClassVar[Extras]`.
    """

    reads: ClassVar[str]
    memory: ClassVar[type]

    def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> Algorithm: ...
