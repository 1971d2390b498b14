"""The protocols of the component configs in a TrainConfig: policy, tasks, sampler, memory and algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, Self, TypeAlias, runtime_checkable

from strop.types.protocols import Extras

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strop.types.protocols import Algorithm, Codec, Memory, Policy, Sampler, TaskSource, Want
    from strop.types.records import Task
    from strop.types.sampling import Sampling

LOGITS: frozenset[Want] = frozenset({"logits"})
ComputesOn: TypeAlias = Literal["cpu", "any", "accelerator"]
"""What a policy computes on: the CPU alone, or any device; of these, device=auto takes an accelerator for the last."""
ComputesIn: TypeAlias = Literal["float32", "bfloat16", "fastest"]
"""The number type that a policy computes in, where the run's dtype is none: fastest is bfloat16 where the hardware
multiplies it, else float32."""


@runtime_checkable
class PolicyConfig(Protocol):
    """The protocol of `TrainConfig.policy`, where it is not a model's name. A Config inherits from it to get the
    default."""

    __slots__ = ()

    @property
    def computes_on(self) -> ComputesOn:
        """Which devices it can compute on, and whether device=auto takes an accelerator for it."""
        return "any"

    @property
    def computes_in(self) -> ComputesIn:
        """What `build` gets as its dtype where the run names none."""
        return "float32"

    @property
    def acts(self) -> bool:
        """Whether it chooses tokens or actions: all do that, but an encoder that only reads."""
        return True

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Policy, Codec]:
        """The policy on `device`, which torch knows by this name (cpu, cuda:0, mps), and its codec. It computes in
        `dtype`, float32 or bfloat16: how far the sampler's log-probs may be from the learner's depends on it."""
        ...


@runtime_checkable
class TaskSourceConfig(Protocol):
    """The protocol of `TrainConfig.tasks`, where it is not a list of tasks: a source that is told outcomes. Its lists
    of tasks stand in the run's tasks.jsonl."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Task]:
        """Every task that it may give: they are checked before the run."""
        ...

    def build(self, seed: int) -> TaskSource: ...


@runtime_checkable
class SamplerConfig(Protocol):
    """The protocol of `TrainConfig.sampler`. A Config inherits from it to get the defaults.

    shares_weights  it samples with the learner's own policy, so its log-probs are the learner's; any other sampler is
                    another engine, whose gap is measured and corrected
    """

    __slots__ = ()

    shares_weights: ClassVar[bool] = False

    @property
    def gap(self) -> float | None:
        """Of another engine: how far its log-probs may be from the learner's, as the mean of the absolute difference in
        nats a token; a larger gap stops the run. None allows what other kernels of the same number type explain."""
        return None

    def build(self, policy: Policy, codec: Codec) -> Sampler: ...


@runtime_checkable
class MemoryConfig(Protocol):
    """The protocol of `TrainConfig.memory`. A Config inherits from it to get the defaults."""

    __slots__ = ()

    @property
    def n_step(self) -> int | None:
        """Turns per pick; None means that a pick is a whole episode."""
        return None

    def build(self) -> Memory: ...


@runtime_checkable
class AlgorithmConfig(Protocol):
    """The protocol of `TrainConfig.algorithm`. A Config inherits from it to get the defaults.

    reads   the data it learns from: tasks, demonstrations, preferences or teacher
    memory  the Config class of its default memory; with Fresh the algorithm is on-policy, unless `off_policy`
    """

    __slots__ = ()

    reads: ClassVar[str] = "tasks"
    memory: ClassVar[type]

    @property
    def off_policy(self) -> bool:
        """Whether it can learn from episodes that another policy played."""
        return False

    @property
    def extras(self) -> Extras:
        """What it requires of a step's episodes beyond `group_size` episodes per task."""
        return Extras()

    @property
    def heads(self) -> frozenset[Want]:
        """The policy outputs that it uses; "value" needs a policy with a value head."""
        return LOGITS

    @property
    def n_step(self) -> int | None:
        """How many decisions its targets look ahead; None means no limit."""
        return None

    def corrected(self) -> Self | None:
        """This config with a correction for a sampler whose log-probs differ a little; None if it has no correction."""
        return None

    def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Algorithm:
        """`micro_tokens` limits a forward pass and changes no result; `seed` is the run's, for random draws."""
        ...
