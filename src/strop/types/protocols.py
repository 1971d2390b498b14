"""What the parts of a run promise each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.nn import Parameter

    from strop.types.batch import Batch
    from strop.types.records import Completion, Draw, Episode, Prompt, Step, Task, Tokens
    from strop.types.sampling import Sampling
    from strop.types.updates import Metrics, Update

State: TypeAlias = "dict[str, Any]"  # nested dicts of tensors and JSON values; keys are strings


@dataclass(frozen=True, slots=True)
class Heads:
    """What a policy says at the N decision slots of one chunk. Asked for by `want`; the others are None.

    `tokens_N` holds the action taken there (0 at a bootstrap slot); `q_NV` is read as action values. `first` counts the
    decisions of the batch before this chunk, so that a reduce can find its slice of anything else of length N.
    """

    tokens_N: Tensor
    first: int = 0
    logits_NV: Tensor | None = None
    value_N: Tensor | None = None
    q_NV: Tensor | None = None


Want: TypeAlias = "Literal['logits', 'value', 'q']"
Reduce: TypeAlias = "Callable[[Heads], Mapping[str, Tensor]]"


@runtime_checkable
class Env(Protocol):
    """One episode of an environment: made as `environment(task, rng)`, used once, closed."""

    def start(self) -> Prompt:
        """The first text that the policy sees."""

    def step(self, text: str) -> Step:
        """The answer to what the policy wrote."""

    def close(self) -> None:
        """Free what the episode held."""


Environment: TypeAlias = "Callable[[Task, np.random.Generator], Env]"


class TaskSource(Protocol):
    """Where tasks come from; its state is the cursor."""

    def next(self, n: int) -> list[Task]: ...
    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


class Codec(Protocol):
    """Text to tokens and back. Nothing that the policy sampled is ever encoded again from its text.

    `stop` are the tokens that end a completion (they are sampled, scored and trained as actions); `end` is the one
    that is appended to completions that come from data.
    """

    stop: frozenset[int]
    end: int | None

    def start(self, prompt: Prompt) -> Tokens:
        """The ids of a first prompt."""

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The full next prompt: what stood, what was sampled, and the environment's reply."""

    def encode(self, text: str) -> Tokens:
        """The ids of a completion's text, without a stop token."""

    def decode(self, tokens: Tokens) -> str:
        """The text of a completion, without the stop token that ended it."""


class Sampler(Protocol):
    """Turns prompts into completions. Order is kept; completion i draws from `rngs[i]` only."""

    def publish(self, policy: Policy) -> None:
        """Act with this policy's weights as they stand now; a sampler that shares them has nothing to do."""

    def sample(
        self, prompts: Sequence[Tokens], sampling: Sampling, rngs: Sequence[np.random.Generator]
    ) -> list[Completion]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What an algorithm asks of a step's episodes beyond `group_size` of each task: `extras` of its Config, if any.

    greedy        one more episode of each task, played greedily, in the task's group
    accepts       whether a group's scored returns can teach; other groups do not count towards the step's tasks, and
                  more tasks are played. What was played is returned whole, with the rejected groups. None: all count
    oversampling  a step plays at most so many times its number of tasks
    least         episodes of a task: a method that compares them needs 2
    """

    greedy: bool = False
    accepts: Callable[[Sequence[float]], bool] | None = None
    oversampling: int = 1
    least: int = 1


class RolloutEngine(Protocol):
    """Plays tasks with the newest published policy."""

    def publish(self, policy: Policy) -> None: ...
    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]: ...


class Decoder(Protocol):
    """What writes: the acting half of a policy. The embedded sampler calls it in `torch.inference_mode`: a tensor that
    is made there and kept can be read later, but not learned through."""

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        """Read the prompts: `(logits_BV of the next token, state)`."""

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        """Append one token a row: `(logits_BV, state)`."""

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """The state of these rows; a row may be named several times (a group that shares one prefill)."""


class Policy(Decoder, Protocol):
    """Owns parameters. `layout` says whether turns that extend each other share a row."""

    layout: Literal["joined", "per_turn"]
    vocabulary: int
    context: int | None
    has_values: bool

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = ...) -> dict[str, Tensor]:
        """Call `reduce` on chunks of the decision slots and scatter its `_N` results into `_BT` tensors (0 elsewhere).

        No [B, T, V] tensor exists outside a chunk.
        """

    def reference(self) -> Policy:
        """This policy as it stands, frozen: a copy, or for an adapter the base with the adapter off."""

    def twin(self) -> Self:
        """A copy with trainable parameters of its own, as they stand: a target network, or a second critic."""

    def parameters(self) -> list[Parameter]:
        """The trainable parameters, always in the same order."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


class Memory(Protocol):
    """Which episodes an update learns from: 0 to n draws a step."""

    def add(self, episodes: Sequence[Episode]) -> None: ...
    def draws(self, rng: np.random.Generator) -> Iterable[Draw]: ...
    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None: ...
    def held(self) -> list[str]:
        """The ids of the episodes it needs after a resume: the run never deletes these."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None: ...


class Algorithm(Protocol):
    """Changes the policy's parameters, and nothing else does."""

    def update(self, batch: Batch) -> Update: ...
    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a config builds and the loop runs on."""

    policy: Policy
    engine: RolloutEngine
    tasks: TaskSource
    memory: Memory
    algorithm: Algorithm
    codec: Codec


@runtime_checkable
class Comparer(Protocol):
    """An algorithm that can say how its policy compares pairs of answers, without learning from them."""

    def compare(self, batch: Batch) -> Metrics:
        """`preference/accuracy`, `preference/logit` and others, over all strictly ordered pairs of the batch."""


class Recorder(Protocol):
    """What the loop tells the run: the only way to disk, screen and held-out judgement."""

    def steps(self, parts: Parts, n: int) -> Iterator[int]:
        """Load the newest checkpoint, judge the start, then yield the steps that are left; save on schedule."""

    def update(self, step: int, draw: Draw, batch: Batch, update: Update) -> None: ...
    def finish(self, step: int, episodes: Sequence[Episode]) -> None:
        """Write the step in one transaction."""
