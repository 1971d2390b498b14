"""Gymnasium environments in strop, and strop environments in Gymnasium. Observations and actions are texts."""

from __future__ import annotations

import importlib
import json
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from strop.types import End, Env, Environment, Prompt, Step, Task

if TYPE_CHECKING:
    import gymnasium

ToText: TypeAlias = "Callable[[Any], Prompt]"
ToAction: TypeAlias = "Callable[[str], Any]"
Outcome: TypeAlias = "tuple[float, int, float, bool]"
"""A transition: its probability, the next state, the reward, and whether the episode ends."""
SEEDS = 2**31
LONGEST = 4096
"""Longest text that the spaces of `as_gymnasium` declare; Gymnasium does not enforce it by default."""


def numbers_as_json(observation: Any) -> str:
    """An observation as JSON: an array as a list of numbers, which `VectorCodec` reads; a discrete one as a number."""
    array = np.asarray(observation)
    return json.dumps((array.ravel() if array.ndim else array).tolist())


def action_from_json(text: str) -> Any:
    """An action from JSON: a whole number, or a list of numbers for a continuous space."""
    action = json.loads(text)
    return np.array(action, dtype=np.float32) if isinstance(action, list) else int(action)


@dataclass(frozen=True, slots=True)
class FromGymnasium:
    """A Gymnasium environment, called as environment(task, rng): a record, so that a run's config can hold it."""

    make: str | Callable[[], Any]
    to_text: ToText = numbers_as_json
    to_action: ToAction = action_from_json
    replaces: bool = False

    def __call__(self, task: Task, rng: np.random.Generator) -> Env:
        """One episode. The seed of `reset` comes from `rng`, its options from `task.data["options"]`."""
        env = require_gymnasium(self.make).make(self.make) if isinstance(self.make, str) else self.make()
        options = task.data.get("options")
        return _Episode(env, self.to_text, self.to_action, self.replaces, int(rng.integers(SEEDS)), options)


def from_gymnasium(
    make: str | Callable[[], Any],
    to_text: ToText = numbers_as_json,
    to_action: ToAction = action_from_json,
    replaces: bool = False,
) -> Environment:
    """A Gymnasium environment, from its id or from a function that makes it.

    `to_text` turns an observation into the prompt, `to_action` the policy's text into an action; both use JSON by
    default. "terminated" becomes End.TERMINATED. "truncated" becomes End.TRUNCATED, whose text is the last observation,
    where a value is bootstrapped. If `to_action` raises, the episode is FAILED. With `replaces` each observation is the
    whole next prompt, as `strop.Step(text, replaces=True)` has it; a vector always is.
    """
    if isinstance(make, str):
        require_gymnasium(make)
    return FromGymnasium(make, to_text, to_action, replaces)


@dataclass(slots=True)
class _Episode:
    """One episode of a Gymnasium environment."""

    env: Any
    to_text: ToText
    to_action: ToAction
    replaces: bool
    seed: int
    options: dict[str, Any] | None

    def start(self) -> Prompt:
        """The first observation."""
        observation, _ = self.env.reset(seed=self.seed, options=self.options)
        return self.to_text(observation)

    def step(self, text: str) -> Step:
        """The next observation; if both terminated and truncated, the episode is TERMINATED."""
        observation, reward, terminated, truncated, _ = self.env.step(self.to_action(text))
        end = End.TERMINATED if terminated else End.TRUNCATED if truncated else None
        return Step(self.to_text(observation), float(reward), end, replaces=self.replaces)

    def close(self) -> None:
        """Close the Gymnasium environment."""
        self.env.close()


# ---------------------------------------------------------------- strop in Gymnasium


class _TextGame:
    """Plays tasks through Gymnasium's `reset` and `step`; observations and actions are texts.

    A FAILED step counts as truncated, because the task itself did not end. Exceptions of the environment propagate.
    """

    def __init__(self, environment: Environment, tasks: Sequence[Task]) -> None:
        if not tasks:
            raise ValueError("there is no task to play: give at least one.")
        self.environment, self.tasks = environment, {task.id: task for task in tasks}
        self.rng = np.random.default_rng(0)
        self.played: Env | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start a random task, or the one whose id is `options["task"]`."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.close()
        wanted = (options or {}).get("task") or list(self.tasks)[int(self.rng.integers(len(self.tasks)))]
        if wanted not in self.tasks:
            raise ValueError(f"there is no task {wanted!r}; there are {', '.join(list(self.tasks)[:8])}.")
        self.played = self.environment(self.tasks[wanted], self.rng)
        opening = self.played.start()
        if isinstance(opening, Step):
            return _plain(opening.text), {"task": wanted, **_choices(opening)}
        return _plain(opening), {"task": wanted}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """(observation, reward, terminated, truncated, data)"""
        if self.played is None:
            raise ValueError("step before reset: call reset() first.")
        step = self.played.step(action)
        is_cut = step.end in (End.TRUNCATED, End.FAILED)
        return _plain(step.text), step.reward, step.end is End.TERMINATED, is_cut, {**step.data, **_choices(step)}

    def close(self) -> None:
        """Close the episode that is being played."""
        if self.played is not None:
            self.played.close()
        self.played = None


def _choices(step: Step) -> dict[str, list[str]]:
    """The texts of which the next action is one, if it is restricted."""
    return {} if step.choices is None else {"choices": list(step.choices)}


def as_gymnasium(environment: Environment, tasks: Sequence[Task]) -> gymnasium.Env[str, str]:
    """A Gymnasium environment that plays these tasks as text; Gymnasium's wrappers can turn texts into vectors."""
    package = require_gymnasium("strop.environments.as_gymnasium")

    class TextEnv(_TextGame, package.Env):  # type: ignore[misc, name-defined]
        """A _TextGame that is a gymnasium.Env, defined here because Gymnasium may not be installed."""

        observation_space = package.spaces.Text(LONGEST, min_length=0, charset=string.printable)
        action_space = package.spaces.Text(LONGEST, min_length=0, charset=string.printable)

    made: gymnasium.Env[str, str] = TextEnv(environment, tasks)
    return made


def require_gymnasium(what: str) -> Any:
    """The gymnasium package, or an ImportError that says how to install it."""
    try:
        return importlib.import_module("gymnasium")
    except ImportError as error:
        raise ImportError(f"{what} needs Gymnasium, which is not installed: pip install gymnasium") from error


def toy_text(name: str, **options: Any) -> Any:
    """One of Gymnasium's toy texts by the name of its class: of any version, without wrappers."""
    require_gymnasium(f"strop.environments.{name.removesuffix('Env')}")
    return getattr(importlib.import_module("gymnasium.envs.toy_text"), name)(**options)


def happened(outcomes: Sequence[Outcome], rng: np.random.Generator) -> Outcome:
    """One of the transitions of a state and an action, as Gymnasium lists them in `P`, by its probability."""
    chances = np.cumsum([outcome[0] for outcome in outcomes])
    return outcomes[int((chances <= rng.random()).sum().clip(max=len(outcomes) - 1))]


def _plain(prompt: Prompt) -> str:
    """The prompt as one text, with one line per message of a chat."""
    return prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt)
