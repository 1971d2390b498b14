"""The protocols of the parts of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.nn import Parameter

    from strop.types.batch import Batch
    from strop.types.choices import Choices, Tokens
    from strop.types.locks import WeightsLock
    from strop.types.records import Completion, Draw, Episode, Prompt, Task, Unanswered
    from strop.types.sampling import Sampling
    from strop.types.step import Step
    from strop.types.updates import Metrics, Update

State: TypeAlias = "dict[str, Any]"  # nested dicts of tensors and JSON values; keys are strings


@dataclass(frozen=True, slots=True)
class Heads:
    """A policy's outputs at the N decision slots of one chunk. Those not named in `want` are None.

    `tokens_N` holds the chosen action (0 at a bootstrap slot); `q_NV` holds action values. `first` is the number of the
    batch's decisions before this chunk, so that a reduce can slice other tensors over all decisions.
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

    def start(self) -> Prompt | Step:
        """The first prompt; a Step, without reward or end, where the first action has choices of its own."""

    def step(self, text: str) -> Step:
        """The reply to the text that the policy wrote."""

    def close(self) -> None:
        """Free what the episode held."""


Environment: TypeAlias = "Callable[[Task, np.random.Generator], Env]"


class TaskSource(Protocol):
    """An endless source of tasks; its state is the position in it, and what it knows of outcomes."""

    def next(self, n: int) -> list[Task]: ...
    def observe(self, episodes: Sequence[Episode]) -> None:
        """Told by the engine: the scored episodes of the tasks that it gave last, in their order, those of rejected
        groups too. It comes before more tasks are asked for."""

    def measures(self) -> Mapping[str, float]:
        """Metrics of the run after each step, named `curriculum/...`; empty if there is nothing to tell."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


class Codec(Protocol):
    """Text to tokens and back. Sampled tokens are never re-encoded from their text.

    `stop` are the tokens that end a completion (they are sampled, scored and trained as actions); `end` is the one
    that is appended to completions that come from data.
    """

    stop: frozenset[int]
    end: int | None

    def start(self, prompt: Prompt) -> Tokens:
        """The ids of a first prompt."""

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The full next prompt: the old prompt, the sampled completion and the environment's reply."""

    def encode(self, text: str) -> Tokens:
        """The ids of a completion's text, without a stop token."""

    def decode(self, tokens: Tokens) -> str:
        """The text of a completion, without the stop token that ended it."""


class Sampler(Protocol):
    """Turns prompts into completions. Order is kept; completion i draws from `rngs[i]` only.

    `choices` are given where actions are restricted: completion i is then one of `choices[i]`, or any text where that
    is None. A sampler without this argument serves all other runs.

    One that reads the policy's own weights holds `policy.lock.reading()` meanwhile. One that asks another process gives
    Unanswered where it got nothing, after attempts and a time of its own: that episode is FAILED, and the others go on.
    """

    def publish(self, policy: Policy) -> None:
        """Use this policy's current weights from now on; a sampler that shares them does nothing."""

    def sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None] = ...,
    ) -> Sequence[Completion | Unanswered]: ...


Batching: TypeAlias = "Literal['step', 'group']"
"""What is decoded together: all tasks of a step, or one task's group after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What an algorithm requires of a step's episodes beyond `group_size` episodes per task: `extras` of its Config.

    greedy        add one greedily decoded episode to each task's group
    accepts       whether a group is useful, given its scored returns; a rejected group does not count towards
                  prompts_per_step, and another task is played instead. All episodes are returned, those of rejected
                  groups too. None accepts every group
    oversampling  most tasks played in a step, as a multiple of prompts_per_step
    least         smallest group_size: a method that compares the episodes of a task needs 2
    """

    greedy: bool = False
    accepts: Callable[[Sequence[float]], bool] | None = None
    oversampling: int = 1
    least: int = 1


class RolloutEngine(Protocol):
    """Plays tasks with the newest published policy.

    An engine may play ahead of the learner: what it has drawn from the source and not yet returned is its state.
    """

    def publish(self, policy: Policy) -> None: ...
    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]: ...
    def status(self) -> str:
        """What it is doing, in a few words for the live line; empty if there is nothing to tell. Another thread asks
        once a second, while it plays."""

    def news(self) -> list[str]:
        """What went wrong and was mended since it was last asked: each becomes a warning of the run."""

    def measures(self) -> Mapping[str, float]:
        """Metrics of the last step, named `engine/...` and not deterministic; empty if there is nothing to tell."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...
    def close(self) -> None:
        """Free what it holds, at the end of a run, however that came."""


class Decoder(Protocol):
    """The generating half of a policy. The embedded sampler calls it in `torch.inference_mode`: a tensor made there can
    be kept and read later, but no gradient flows through it.

    `lock` is a `WeightsLock()` that is made with the weights; whoever decodes with another policy's weights has that
    policy's. The embedded sampler holds `lock.reading()`, and so does any other thread than the one that trains while
    it reads. `load_state_dict` holds `lock.changing()`.
    """

    lock: WeightsLock

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        """Read the prompts: `(logits_BV of the next token, state)`. The logits are on the policy's device."""

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        """Append one token a row, which may stand on another device: `(logits_BV, state)`."""

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """The state of these rows; a row may be repeated (a group that shares one prefill)."""

    def join(self, states: Sequence[Any]) -> Any:
        """One state of the rows of all these, in their order, however many tokens each has read.

        A row goes on as it would alone, up to the rounding of a larger batch. The old states become invalid.
        """


class Policy(Decoder, Protocol):
    """A model with its parameters. `layout` says whether turns that extend each other share a row."""

    layout: Literal["joined", "per_turn"]
    vocabulary: int
    context: int | None
    has_values: bool

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = ...) -> dict[str, Tensor]:
        """Call `reduce` on chunks of the decision slots and scatter its `_N` results into `_BT` tensors (0 elsewhere).

        No [B, T, V] tensor exists outside a chunk. The chunks are on the policy's device, the results on the batch's.
        """

    def reference(self) -> Policy:
        """This policy, frozen: a copy, or for LoRA the base model with the adapter off."""

    def twin(self) -> Self:
        """A copy of this policy with its own trainable parameters: a target network, or a second critic."""

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
        """The ids of the episodes that it needs after a resume: the run never deletes these."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None: ...


class Algorithm(Protocol):
    """The only part that changes the policy's parameters, within `policy.lock.changing()`; an `Optimizer` enters it."""

    def update(self, batch: Batch) -> Update: ...
    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a run, built by its config."""

    policy: Policy
    engine: RolloutEngine
    tasks: TaskSource
    memory: Memory
    algorithm: Algorithm
    codec: Codec


@runtime_checkable
class Comparer(Protocol):
    """An algorithm that can evaluate its policy on pairs of answers, without learning from them."""

    def compare(self, batch: Batch) -> Metrics:
        """`preference/accuracy`, `preference/logit` and others, over all strictly ordered pairs of the batch."""


class Recorder(Protocol):
    """The loop's only way to disk, screen and held-out evaluation."""

    def steps(self, parts: Parts, n: int) -> Iterator[int]:
        """Load the newest checkpoint, evaluate, then yield the remaining steps; save and evaluate on schedule."""

    def update(self, step: int, draw: Draw, batch: Batch, update: Update) -> None: ...
    def finish(self, step: int, episodes: Sequence[Episode]) -> None:
        """Write the step in one transaction."""
