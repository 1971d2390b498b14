"""Gymnasium's environments as strop's, and strop's as Gymnasium's. Texts stand between them."""

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
SEEDS = 2**31
LONGEST = 4096
"""Characters of a text that `as_gymnasium`'s spaces promise; Gymnasium holds nobody to it unless asked."""


def numbers_as_json(observation: Any) -> str:
    """An observation as JSON: an array's numbers in a list, which `VectorCodec` reads; a state's number alone."""
    array = np.asarray(observation)
    return json.dumps((array.ravel() if array.ndim else array).tolist())


def action_from_json(text: str) -> Any:
    """An action from JSON: a whole number, or a list of numbers for a continuous space."""
    action = json.loads(text)
    return np.array(action, dtype=np.float32) if isinstance(action, list) else int(action)


@dataclass(frozen=True, slots=True)
class FromGymnasium:
    """An environment of Gymnasium, called as environment(task, rng): a record, so that a run can write it down."""

    make: str | Callable[[], Any]
    to_text: ToText = numbers_as_json
    to_action: ToAction = action_from_json

    def __call__(self, task: Task, rng: np.random.Generator) -> Env:
        """One episode; the seed of its reset comes from `rng`, and `task.data["options"]` are the options of it."""
        env = _require_gymnasium(self.make).make(self.make) if isinstance(self.make, str) else self.make()
        return _Episode(env, self.to_text, self.to_action, int(rng.integers(SEEDS)), task.data.get("options"))


def from_gymnasium(
    make: str | Callable[[], Any], to_text: ToText = numbers_as_json, to_action: ToAction = action_from_json
) -> Environment:
    """An environment of Gymnasium by its id, or by a function that makes it.

    `to_text` writes an observation for the policy, `to_action` reads the policy's text: JSON both, where they are left
    out. "terminated" is End.TERMINATED. "truncated" is End.TRUNCATED, whose text is the last observation: there a value
    is read. A text that `to_action` cannot read raises, and the rollout keeps that as a FAILED episode.
    """
    if isinstance(make, str):
        _require_gymnasium(make)
    return FromGymnasium(make, to_text, to_action)


@dataclass(slots=True)
class _Episode:
    """One episode of a Gymnasium environment."""

    env: Any
    to_text: ToText
    to_action: ToAction
    seed: int
    options: dict[str, Any] | None

    def start(self) -> Prompt:
        """The first observation."""
        observation, _ = self.env.reset(seed=self.seed, options=self.options)
        return self.to_text(observation)

    def step(self, text: str) -> Step:
        """The next observation; at the end of both kinds at once, nothing follows."""
        observation, reward, terminated, truncated, _ = self.env.step(self.to_action(text))
        end = End.TERMINATED if terminated else End.TRUNCATED if truncated else None
        return Step(self.to_text(observation), float(reward), end)

    def close(self) -> None:
        """Close it."""
        self.env.close()


# ---------------------------------------------------------------- the other way


class _TextGame:
    """Plays tasks through Gymnasium's `reset` and `step`; observations and actions are texts.

    A FAILED step is truncated, because its end is no fact of the task; what the environment raises is raised.
    """

    def __init__(self, environment: Environment, tasks: Sequence[Task]) -> None:
        if not tasks:
            raise ValueError("there is no task to play: give at least one.")
        self.environment, self.tasks = environment, {task.id: task for task in tasks}
        self.rng = np.random.default_rng(0)
        self.played: Env | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """A task drawn anew; `options["task"]` is the id of the one that is wanted."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.close()
        wanted = (options or {}).get("task") or list(self.tasks)[int(self.rng.integers(len(self.tasks)))]
        if wanted not in self.tasks:
            raise ValueError(f"there is no task {wanted!r}; there are {', '.join(list(self.tasks)[:8])}.")
        self.played = self.environment(self.tasks[wanted], self.rng)
        return _plain(self.played.start()), {"task": wanted}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """(observation, reward, terminated, truncated, data)"""
        if self.played is None:
            raise ValueError("step before reset: call reset() first.")
        step = self.played.step(action)
        is_cut = step.end in (End.TRUNCATED, End.FAILED)
        return _plain(step.text), step.reward, step.end is End.TERMINATED, is_cut, dict(step.data)

    def close(self) -> None:
        """Close the episode that is being played."""
        if self.played is not None:
            self.played.close()
        self.played = None


def as_gymnasium(environment: Environment, tasks: Sequence[Task]) -> gymnasium.Env[str, str]:
    """A Gymnasium environment that plays these tasks in texts; Gymnasium's wrappers make vectors of them."""
    package = _require_gymnasium("strop.environments.as_gymnasium")

    class TextEnv(_TextGame, package.Env):  # type: ignore[misc, name-defined]
        """A _TextGame that Gymnasium takes for its own: it can be made only where Gymnasium is installed."""

        observation_space = package.spaces.Text(LONGEST, min_length=0, charset=string.printable)
        action_space = package.spaces.Text(LONGEST, min_length=0, charset=string.printable)

    made: gymnasium.Env[str, str] = TextEnv(environment, tasks)
    return made


def _require_gymnasium(what: str) -> Any:
    """The package, or one line that says how to get it."""
    try:
        return importlib.import_module("gymnasium")
    except ImportError as error:
        raise ImportError(f"{what} needs Gymnasium, which is not installed: pip install gymnasium") from error


def _plain(prompt: Prompt) -> str:
    """One text; the messages of a chat below each other."""
    return prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt)
