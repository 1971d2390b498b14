"""Tasks, turns and episodes, and the picks of them that an update learns from.

Facts and opinions: an `Episode` holds what happened. Advantages, targets, values and reference log-probs are opinions:
an algorithm computes them, returns them in `Update`, and never writes them onto a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, TypeAlias, TypedDict

from strop.types.choices import Choices, Tokens
from strop.types.display import beginning, line, table
from strop.types.facts import data_flaw, prompt_flaw
from strop.types.fields import shown
from strop.types.number import total
from strop.words import plural


class Message(TypedDict):
    """One message of a chat: `role` is system, user or assistant."""

    role: str
    content: str


Prompt: TypeAlias = "str | list[Message]"


def messages_of(prompt: Prompt) -> list[Message]:
    """A prompt as messages: a text is a single one of the user."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def prompt_of(messages: Sequence[Message]) -> Prompt:
    """Messages as a prompt: a single one of the user is a text, as in training."""
    is_text = len(messages) == 1 and messages[0]["role"] == "user"
    return messages[0]["content"] if is_text else list(messages)


class End(StrEnum):
    """Why an episode ended. A completion cut at `max_tokens` ends only its turn: the environment decides."""

    TERMINATED = "terminated"
    """The task is over: nothing follows, so nothing is bootstrapped."""
    TRUNCATED = "truncated"
    """The environment's own time or turn budget ran out: the value of the next state is bootstrapped."""
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
    """A reward that could not be computed. The episode is left out of baseline and loss; it never counts as 0."""

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str):
            raise ValueError(f"Unscored.reason={shown(self.reason)}: it is a text.")


@dataclass(frozen=True, slots=True)
class PerTurn:
    """A reward for every turn of an episode; they sum to the reward's total."""

    rewards: Sequence[float]


@dataclass(frozen=True, slots=True)
class PerToken:
    """A reward for every token that the policy wrote, all turns in order; they sum to the reward's total."""

    rewards: Sequence[float]


@dataclass(frozen=True, slots=True)
class Task:
    """One problem. `data` holds JSON-able facts that rewards and environments read (and TRL rewards get as columns)."""

    id: str
    prompt: Prompt
    answer: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.id, str):
            raise ValueError(f"Task.id={shown(self.id)}: it is a text.")
        if flaw := _task_flaw(self):
            raise ValueError(f"task {self.id!r}: {flaw}.")

    def __repr__(self) -> str:
        answer = f", answer {beginning(self.answer, 24)}" if self.answer else ""
        return line(f"Task {_short(self.id)}{answer}", _prompt_text(self.prompt))

    def _repr_html_(self) -> str:
        return table([("task", self.id), ("prompt", _prompt_text(self.prompt)), ("answer", self.answer or "(none)")])


@dataclass(frozen=True, slots=True)
class Completion:
    """What a sampler wrote.

    `logprobs` are in nats, one per token, of the distribution that the token was drawn from; None where the policy did
    not sample it (data, people). `finish` is "stop" if the last token is a stop token, "length" if the text was cut.
    """

    tokens: Tokens
    logprobs: tuple[float, ...] | None
    finish: Literal["stop", "length"]

    def __repr__(self) -> str:
        return line(f"Completion of {plural(len(self.tokens), 'token')}, finish {self.finish}")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A prompt to which an engine elsewhere gave no completion that can be used: its episode is FAILED, for this
    reason."""

    reason: str


def completions_of(answers: Sequence[Completion | Unanswered]) -> list[Completion]:
    """The completions, for whoever needs every one of them. Raises ValueError, with the reason, for one Unanswered."""
    if lost := [one.reason for one in answers if isinstance(one, Unanswered)]:
        raise ValueError(f"{plural(len(lost), 'prompt')} of {len(answers)} got no completion: {lost[0]}")
    return [one for one in answers if isinstance(one, Completion)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One action of an episode: `prompt` holds the token ids exactly as the policy saw them.

    `choices` are the completions of which it is one; None where it might have been any.
    """

    prompt: Tokens
    completion: Completion
    text: str
    reward: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)
    choices: Choices | None = None

    def __repr__(self) -> str:
        wrote = plural(len(self.completion.tokens), "token")
        return line(f"Turn of {wrote} after {len(self.prompt)}, reward {self.reward:.4g}", self.text)


@dataclass(frozen=True, slots=True)
class Part:
    """One named reward of an episode. Weight 0 means that it is reported and never trained on (a gold score).

    `total` is the undiscounted sum. `turns` or `tokens` split it over the episode; where both are None it belongs to
    the last action.
    """

    weight: float
    total: float | Unscored
    turns: tuple[float, ...] | None = None
    tokens: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Episode:
    """One attempt at a task, from start to end. It is immutable, so derived values are cached.

    `group` is shared by the episodes of one task of one step. `final` is the full next prompt (token ids) of a
    TRUNCATED episode, where a value is bootstrapped, and empty otherwise; `final_choices` are those of the action that
    would have followed. `version` is the version of the policy that played it: the number of the training step. `seed`
    is the key of its random streams.
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
    final_choices: Choices | None = None

    @cached_property
    def reward(self) -> float | Unscored:
        """Turn rewards plus weighted parts, undiscounted; Unscored if FAILED or if a part with a weight is Unscored."""
        if self.end is End.FAILED:
            return Unscored(self.error or "the episode failed")
        summed = self.turn_reward
        for name, part in self.parts.items():
            if part.weight == 0.0:
                continue
            if isinstance(part.total, Unscored):
                return Unscored(f"{name}: {part.total.reason}")
            summed += part.weight * part.total
        return summed

    @cached_property
    def turn_reward(self) -> float:
        """The sum of the environment's own rewards, over all turns."""
        return total([turn.reward for turn in self.turns])

    @property
    def text(self) -> str:
        """The text that the policy wrote, its turns joined by newlines."""
        return "\n".join(turn.text for turn in self.turns)

    @cached_property
    def first_actions(self) -> tuple[int, ...]:
        """The number of tokens that the policy wrote before each turn; the last entry counts all turns."""
        return tuple(accumulate([len(turn.completion.tokens) for turn in self.turns], initial=0))

    @property
    def num_actions(self) -> int:
        """How many tokens the policy wrote."""
        return self.first_actions[-1]

    @cached_property
    def is_cut(self) -> bool:
        """Whether a completion of it was cut at `max_tokens`."""
        return any(turn.completion.finish == "length" for turn in self.turns)

    def __repr__(self) -> str:
        reward = ("" if isinstance(self.reward, Unscored) else "reward ") + _reward_text(self.reward, 32)
        turns = plural(len(self.turns), "turn")
        return line(f"Episode {_short(self.id)}, {self.end}, {reward}, {turns}", self.text)

    def _repr_html_(self) -> str:
        parts = [(name, f"{_reward_text(part.total)} x {part.weight:g}") for name, part in self.parts.items()]
        facts = [("episode", self.id), ("end", str(self.end)), ("reward", _reward_text(self.reward)), *parts]
        return table([*facts, ("prompt", _prompt_text(self.task.prompt)), ("text", self.text)])


def _prompt_text(prompt: Prompt) -> str:
    """The prompt's text, or the last message of a chat."""
    return prompt if isinstance(prompt, str) else prompt[-1]["content"] if prompt else ""


def _short(id: str) -> str:
    return id if len(id) <= 32 else f"{id[:29]}..."


def _reward_text(reward: float | Unscored, chars: int = 1000) -> str:
    """The number, or why there is none: the last line of the reason, where a traceback names its error."""
    if not isinstance(reward, Unscored):
        return f"{reward:.4g}"
    reason = (reward.reason.strip().splitlines() or ["no reason given"])[-1]
    return f"unscored ({reason if len(reason) <= chars else reason[:chars] + '...'})"


RewardFn: TypeAlias = "Callable[[Task, Episode], float | Unscored | PerTurn | PerToken]"


@dataclass(frozen=True, slots=True)
class Pick:
    """Turns [turn, turn + length) of an episode, or all of it where `turn` is None; `weight` multiplies its loss."""

    episode: Episode
    turn: int | None = None
    length: int = 1
    weight: float = 1.0


Draw: TypeAlias = "tuple[Pick, ...]"


def _task_flaw(task: Task) -> str:
    if flaw := prompt_flaw(task.prompt):
        return f"prompt={flaw}"
    if not isinstance(task.answer, str):
        return f"answer={shown(task.answer)}: it is a text"
    return data_flaw(task.data)
