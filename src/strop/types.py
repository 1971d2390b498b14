"""The shared records and protocols: what every room of strop passes to the next.

Shape legend: B rows, T token slots of a row, E picks (an episode, or a part of one), K picks of a draw (K == E),
N decision slots of one chunk, V vocabulary.

Facts and opinions: `Episode` and `Batch` hold what happened. Advantages, targets, values and reference log-probs are
opinions: an algorithm computes them, returns them in `Update`, and never writes them onto a record.
This module imports no torch, so that a recipe, a reward or an environment loads in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.nn import Parameter

# ---------------------------------------------------------------- text and episodes


class Message(TypedDict):
    """One message of a chat: `role` is system, user or assistant."""

    role: str
    content: str


Prompt: TypeAlias = "str | list[Message]"
Tokens: TypeAlias = "tuple[int, ...]"


class End(StrEnum):
    """Why an episode ended. A completion cut at `max_tokens` is no End: the environment decides."""

    TERMINATED = "terminated"
    """The task is over: nothing follows, so nothing is bootstrapped."""
    TRUNCATED = "truncated"
    """The environment's own time or turn budget ran out: the value of what would have followed counts."""
    FAILED = "failed"
    """The environment raised, took too long, or the context was full: the episode is Unscored."""


class Source(StrEnum):
    """Who wrote the completions of an episode."""

    POLICY = "policy"
    GREEDY = "greedy"
    DATA = "data"
    HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Unscored:
    """A reward that could not be computed. The episode leaves the baseline and the loss; it is never counted as 0."""

    reason: str


@dataclass(frozen=True, slots=True)
class PerTurn:
    """A reward for every turn of an episode; they sum to the reward's total."""

    rewards: Sequence[float]


@dataclass(frozen=True, slots=True)
class PerToken:
    """A reward for every token that the policy wrote, over all turns in order; they sum to the reward's total."""

    rewards: Sequence[float]


@dataclass(frozen=True, slots=True)
class Task:
    """One problem. `data` holds JSON-able facts that rewards and environments read (and TRL rewards get as columns)."""

    id: str
    prompt: Prompt
    answer: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """An environment's answer to an action: its next text, the reward of this turn, and the end if it is over."""

    text: Prompt
    reward: float = 0.0
    end: End | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a sampler wrote.

    `logprobs` are in nats, one a token, of the law that the token was really drawn from; None where it is not ours
    (text from data or people). `finish` is "stop" when the last token is a stop token, "length" when it was cut.
    """

    tokens: Tokens
    logprobs: tuple[float, ...] | None
    finish: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One action of an episode: `prompt` holds the token ids exactly as the policy saw them."""

    prompt: Tokens
    completion: Completion
    text: str
    reward: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One named reward of an episode. Weight 0 means that it is reported and never trained on (a gold score).

    `total` is the undiscounted sum; `turns` or `tokens` say where it fell, and where both are None it falls on the
    episode's last action.
    """

    weight: float
    total: float | Unscored
    turns: tuple[float, ...] | None = None
    tokens: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """What happened from a task's start to its end.

    `group` is shared by the episodes of one task of one step. `final` is the full next prompt (token ids) of a
    TRUNCATED episode, where a value is bootstrapped, and empty otherwise. `version` counts the publications of the
    policy that acted. `seed` is the key of its random streams.
    """

    id: str
    task: Task
    group: int
    turns: tuple[Turn, ...]
    final: Tokens
    end: End
    error: str = ""
    version: int = 0
    seed: tuple[int, ...] = ()
    source: Source = Source.POLICY
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def return_(self) -> float | Unscored:
        """The sum of turn rewards and weighted parts, undiscounted; Unscored if a part that counts is, or if FAILED."""
        if self.end is End.FAILED:
            return Unscored(self.error or "the episode failed")
        total = math.fsum(turn.reward for turn in self.turns)
        for name, part in self.parts.items():
            if part.weight == 0.0:
                continue
            if isinstance(part.total, Unscored):
                return Unscored(f"{name}: {part.total.reason}")
            total += part.weight * part.total
        return total

    @property
    def text(self) -> str:
        """What the policy wrote, its turns joined by new lines."""
        return "\n".join(turn.text for turn in self.turns)

    @property
    def num_actions(self) -> int:
        """How many tokens the policy wrote."""
        return sum(len(turn.completion.tokens) for turn in self.turns)


# ---------------------------------------------------------------- what one update learns from


@dataclass(frozen=True, slots=True)
class Pick:
    """Turns [turn, turn + length) of an episode, or all of it where `turn` is None; `weight` multiplies its loss."""

    episode: Episode
    turn: int | None = None
    length: int = 1
    weight: float = 1.0


Draw: TypeAlias = "tuple[Pick, ...]"
Keep: TypeAlias = "Literal['row', 'episode', 'group']"


@dataclass(frozen=True, slots=True)
class Batch:
    """Picks as tensors. Slot t of a `_BT` tensor belongs to the action `tokens[t]` given `tokens[<t]`.

    tokens_BT    int64; 0 in padding
    action_BT    bool; the policy chose this token
    logprobs_BT  float64, nats, of the law that was sampled from; NaN where unknown: select with `where`
    rewards_BT   float64; the reward that followed this action
    next_BT      int64; FLAT index (row * T + t) of the next decision, -1 where nothing is bootstrapped (terminated)
    version_B    int64; the policy's version that acted
    episode_B    int64; which of the E picks the row belongs to; rows of a pick stand in order
    turn_B       int64; the first turn of the row
    offset_B     int64; how many actions of the episode come before the row's first one
    source_E     int64; index into `tuple(Source)`
    group_E      int64; equal for the picks of one group
    return_E     float64; undiscounted return of the whole episode, NaN if Unscored
    weight_E     float64; the pick's weight, 0 if Unscored
    """

    tokens_BT: Tensor
    action_BT: Tensor
    logprobs_BT: Tensor
    rewards_BT: Tensor
    next_BT: Tensor
    version_B: Tensor
    episode_B: Tensor
    turn_B: Tensor
    offset_B: Tensor
    source_E: Tensor
    group_E: Tensor
    return_E: Tensor
    weight_E: Tensor

    @property
    def decision_BT(self) -> Tensor:
        """bool: the slots where a head is read: every action, and the bootstrap slot of a truncated row."""
        decision_N = self.action_BT.flatten().clone()
        next_N = self.next_BT[self.action_BT]
        decision_N[next_N[next_N >= 0]] = True
        return decision_N.view_as(self.action_BT)

    @property
    def weight_B(self) -> Tensor:
        """The weight of each row's pick."""
        return self.weight_E[self.episode_B]

    def to(self, device: str) -> Batch:
        """The same batch on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def split(self, budget: int, keep: Keep, *opinions_BT: Tensor) -> Iterator[tuple[Any, ...]]:
        """Yield `(micro, *opinions)` so that each micro-batch holds at most `budget` padded tokens.

        Rows are taken longest first, so that little is padded. `keep` names what must not be torn apart: a row, an
        episode (sequence losses) or a group (pairs); an oversize unit goes alone. `next_BT` is re-based and points
        inside the micro-batch; with keep="row" a pointer to another row becomes -1, so a loss that bootstraps keeps
        episodes. The E fields stay whole: `episode_B` still indexes them.
        """
        lengths_B = _lengths(self)
        for rows in _pack(self, lengths_B, budget, keep):
            width = max(lengths_B[row] for row in rows)
            yield (_take(self, rows, width), *(opinion_BT[rows, :width] for opinion_BT in opinions_BT))


def _lengths(batch: Batch) -> list[int]:
    """The used width of each row: up to its last decision."""
    decision_BT = batch.decision_BT
    width = decision_BT.shape[1]
    last_B = width - decision_BT.flip(1).int().argmax(dim=1)
    return [int(n) if used else 1 for n, used in zip(last_B.tolist(), decision_BT.any(dim=1).tolist(), strict=True)]


def _pack(batch: Batch, lengths_B: list[int], budget: int, keep: Keep) -> list[list[int]]:
    """Row numbers of each micro-batch."""
    owner_B = {
        "row": list(range(len(lengths_B))),
        "episode": batch.episode_B.tolist(),
        "group": batch.group_E[batch.episode_B].tolist(),
    }[keep]
    units: dict[int, list[int]] = {}
    for row, owner in enumerate(owner_B):
        units.setdefault(owner, []).append(row)
    longest_first = sorted(units.values(), key=lambda rows: -max(lengths_B[row] for row in rows))
    packed: list[list[int]] = []
    for rows in longest_first:
        width = max(lengths_B[row] for row in (packed[-1] if packed else rows))
        if packed and (len(packed[-1]) + len(rows)) * width <= budget:
            packed[-1].extend(rows)
        else:
            packed.append(list(rows))
    return packed


def _take(batch: Batch, rows: list[int], width: int) -> Batch:
    """The batch of these rows, cut to `width` slots, its pointers re-based."""
    old_width = batch.tokens_BT.shape[1]
    new_row_B = batch.episode_B.new_full((batch.tokens_BT.shape[0] + 1,), -1)  # the last slot catches pointer -1
    new_row_B[rows] = batch.episode_B.new_tensor(range(len(rows)))
    next_BT = batch.next_BT[rows, :width]
    target_BT = new_row_B[next_BT.div(old_width, rounding_mode="floor")]  # -1 // width == -1: the catching slot
    rebased_BT = (target_BT * width + next_BT % old_width).masked_fill(target_BT < 0, -1)
    return replace(
        batch,
        tokens_BT=batch.tokens_BT[rows, :width],
        action_BT=batch.action_BT[rows, :width],
        logprobs_BT=batch.logprobs_BT[rows, :width],
        rewards_BT=batch.rewards_BT[rows, :width],
        next_BT=rebased_BT,
        version_B=batch.version_B[rows],
        episode_B=batch.episode_B[rows],
        turn_B=batch.turn_B[rows],
        offset_B=batch.offset_B[rows],
    )


# ---------------------------------------------------------------- metrics and updates


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean that adds up: micro-batches and processes sum totals and counts, never means of means."""

    total: float
    count: float

    @property
    def value(self) -> float:
        """The mean, NaN of nothing."""
        return self.total / self.count if self.count else math.nan

    def merge(self, other: Mean) -> Mean:
        """The mean over both."""
        return Mean(self.total + other.total, self.count + other.count)


@dataclass(frozen=True, slots=True)
class Max:
    """The largest of what was seen."""

    value: float

    def merge(self, other: Max) -> Max:
        """The larger one."""
        return other if other.value > self.value else self


@dataclass(frozen=True, slots=True)
class Last:
    """The newest of what was seen."""

    value: float

    def merge(self, other: Last) -> Last:
        """The newer one."""
        return other


Metric: TypeAlias = "Mean | Max | Last"
Metrics: TypeAlias = "dict[str, Metric]"


def merge_metrics(many: Iterable[Mapping[str, Metric]]) -> Metrics:
    """Merge the metrics of several micro-batches, each name by its own reduction."""
    merged: Metrics = {}
    for metrics in many:
        for name, metric in metrics.items():
            merged[name] = merged[name].merge(metric) if name in merged else metric  # type: ignore[arg-type]
    return merged


@dataclass(frozen=True, slots=True)
class Update:
    """What an algorithm says of one update: metrics, opinions per token, and a priority per pick (or None)."""

    metrics: Metrics
    per_token: dict[str, Tensor] = field(default_factory=dict)
    priority_K: Tensor | None = None


class NonFinite(ArithmeticError):
    """NaN or infinity where a number must stand. Raised before the optimiser moves; `batch` is what it was seen in."""

    def __init__(self, what: str, batch: object) -> None:
        super().__init__(f"{what} is not finite")
        self.what, self.batch = what, batch


class Stopped(RuntimeError):
    """A guard stopped the run: the message says what it saw, why it matters and what to do."""


# ---------------------------------------------------------------- protocols

RewardFn: TypeAlias = "Callable[[Task, Episode], float | Unscored | PerTurn | PerToken]"
State: TypeAlias = "dict[str, Any]"  # nested dicts of tensors and JSON values; keys are strings


class Schedule(Protocol):
    """A number that depends on the step."""

    def __call__(self, step: int) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The law a token is drawn from: `functional.distributions.log_law` makes it from logits, for sampler and loss.

    temperature  divides the logits; 0 takes the largest (ties: the smallest id)
    epsilon      mixes the uniform law in: (1 - epsilon) * law + epsilon / V
    top_p, top_k keep the nucleus only; 1.0 and 0 mean off, and policy-gradient algorithms refuse anything else
    max_tokens   of one completion
    """

    temperature: float | Schedule = 1.0
    epsilon: float | Schedule = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 64

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"sampling.max_tokens={self.max_tokens}: at least 1 token is needed.")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"sampling.top_p={self.top_p}: it lies in (0, 1]; 1 turns it off.")
        if self.top_k < 0:
            raise ValueError(f"sampling.top_k={self.top_k}: it is 0 (off) or a number of tokens.")
        if not callable(self.temperature) and not 0.0 <= self.temperature < math.inf:
            raise ValueError(f"sampling.temperature={self.temperature}: it is 0 (greedy) or above.")
        if not callable(self.epsilon) and not 0.0 <= self.epsilon <= 1.0:
            raise ValueError(f"sampling.epsilon={self.epsilon}: it is a probability.")

    def at(self, step: int) -> Sampling:
        """The law at a step: schedules become numbers."""
        temperature = self.temperature(step) if callable(self.temperature) else self.temperature
        epsilon = self.epsilon(step) if callable(self.epsilon) else self.epsilon
        return replace(self, temperature=temperature, epsilon=epsilon)


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

    def sample(
        self, prompts: Sequence[Tokens], sampling: Sampling, rngs: Sequence[np.random.Generator]
    ) -> list[Completion]: ...


class RolloutEngine(Protocol):
    """Plays tasks with the newest published policy."""

    def publish(self, policy: Policy) -> None: ...
    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]: ...


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


class Policy(Protocol):
    """Owns parameters. `layout` says whether turns that extend each other share a row."""

    layout: Literal["joined", "per_turn"]
    vocabulary: int
    context: int | None

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        """Read the prompts: `(logits_BV of the next token, state)`."""

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        """Append one token a row: `(logits_BV, state)`."""

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """The state of these rows; a row may be named several times (a group that shares one prefill)."""

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = ...) -> dict[str, Tensor]:
        """Call `reduce` on chunks of the decision slots and scatter its `_N` results into `_BT` tensors (0 elsewhere).

        No [B, T, V] tensor exists outside a chunk.
        """

    def reference(self) -> Policy:
        """This policy as it stands, frozen: a copy, or for an adapter the base with the adapter off."""

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


class Recorder(Protocol):
    """What the loop tells the run: the only way to disk, screen and held-out judgement."""

    def steps(self, parts: Parts, n: int) -> Iterator[int]:
        """Load the newest checkpoint, judge the start, then yield the steps that are left; save on schedule."""

    def update(self, step: int, draw: Draw, batch: Batch, update: Update) -> None: ...
    def finish(self, step: int, episodes: Sequence[Episode]) -> None:
        """Write the step in one transaction."""
