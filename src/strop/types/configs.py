"""What the fields of a TrainConfig may be: records that build the parts of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, Self, runtime_checkable

from strop.types.protocols import Extras

if TYPE_CHECKING:
    from strop.types.protocols import Algorithm, Codec, Memory, Policy, Sampler, Want
    from strop.types.sampling import Sampling

LOGITS: frozenset[Want] = frozenset({"logits"})


@runtime_checkable
class PolicyConfig(Protocol):
    """What `TrainConfig.policy` may be, beside a model's name."""

    def build(self, seed: int, dtype: str) -> tuple[Policy, Codec]: ...


@runtime_checkable
class SamplerConfig(Protocol):
    """What `TrainConfig.sampler` may be. A Config inherits from it: what it does not say has the default.

    shares_weights  it records the learner's own log-probs
    """

    __slots__ = ()

    shares_weights: ClassVar[bool]

    @property
    def precision(self) -> str | None:
        """What it computes in; None: the type that the policy computes in."""
        return None

    def build(self, policy: Policy, codec: Codec) -> Sampler: ...


@runtime_checkable
class MemoryConfig(Protocol):
    """What `TrainConfig.memory` may be. A Config inherits from it: what it does not say has the default."""

    __slots__ = ()

    @property
    def n_step(self) -> int | None:
        """Turns of a pick; None picks whole episodes."""
        return None

    def build(self) -> Memory: ...


@runtime_checkable
class AlgorithmConfig(Protocol):
    """What `TrainConfig.algorithm` may be. A Config inherits from it: what it does not say has the default.

    reads   from what it learns: tasks, demonstrations, preferences or teacher
    memory  the Config of the memory that suits it; one whose memory is Fresh is on-policy, unless `off_policy`
    """

    __slots__ = ()

    reads: ClassVar[str] = "tasks"
    memory: ClassVar[type]

    @property
    def off_policy(self) -> bool:
        """Whether it may learn from what another policy did."""
        return False

    @property
    def extras(self) -> Extras:
        """What it asks of a step's episodes beyond `group_size` of each task."""
        return Extras()

    @property
    def heads(self) -> frozenset[Want]:
        """What it reads of the policy; "value" needs a policy with a value head."""
        return LOGITS

    @property
    def n_step(self) -> int | None:
        """Decisions that its targets look ahead; None where no number bounds them."""
        return None

    def corrected(self) -> Self | None:
        """The config for samples of another engine, whose log-probs differ a little; None where there is none."""
        return None

    def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Algorithm:
        """`micro_tokens` bounds a forward pass, and changes no result; `seed` is the run's, for what is drawn."""
        ...
