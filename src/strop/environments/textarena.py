"""TextArena's games (Guertler et al. 2025) in strop: by name, alone or against a player of ours.

Needs the package textarena 0.7.4: `pip install "strop[textarena]"`. It draws from Python's and numpy's global
generators; each game here has its own state of both, and the program's own is as if nothing had been drawn.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from strop.environments.gymnasium import SEEDS
from strop.process import ALONE
from strop.types import End, Env, Observation, Player, Step, Task, check_fields

Reader: TypeAlias = Callable[[str], Step]
MOST_REPLIES = 1000
"""Moves that an opponent may make before the policy is asked again."""
WAIT_SECONDS = 30.0
"""For the global generators, which one game at a time may have."""


def as_told(said: str) -> Step:
    """What TextArena says, unchanged, and no choices."""
    return Step(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextArena:
    """A TextArena game, called as environment(task, rng); with an opponent, environment(task, rng, opponent).

    name     of the game, `FrozenLake-v0` or, with shorter texts, `FrozenLake-v0-train`
    options  that its constructor takes beside those of the name: `{"size": 3}`
    read     what the policy sees of what TextArena tells its player: a Step of a shorter text, or with choices

    A game for two stands in `Against(game=TextArena(name=...), opponents=[...], judge=...)`; opponents see what `read`
    makes of their own view. Facts of a task: `seat`, the policy's player (0 without it); `opening`, texts that are
    played in turn before the policy is asked; `seed`, TextArena's (else from rng); `turns`, the policy's texts after
    which the episode is TRUNCATED.

    The end pays what TextArena gives the policy's player, mostly -1 to 1; turns before it pay 0. A game's own limit of
    turns is a rule of it, so its end is TERMINATED. An illegal text is answered by TextArena, which mostly forgives
    one and lets the second one in a row lose. Each prompt replaces the one before, since TextArena tells all anew.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    read: Reader = as_told

    def __post_init__(self) -> None:
        check_fields(self)
        if "-raw" in self.name:
            raise ValueError(f"name={self.name!r}: raw games tell no text. Take the name without -raw.")

    def __call__(self, task: Task, rng: np.random.Generator, opponent: Player | None = None) -> Env:
        """One game. Raises ValueError for a name that there is not."""
        package = require_textarena(f"TextArena(name={self.name!r})")
        registry = package.envs.registration.ENV_REGISTRY
        if self.name not in registry:
            near = [name for name in registry if name.split("-")[0].lower() == self.name.split("-")[0].lower()]
            hint = (
                f"it is one of {', '.join(near)}." if near else "strop.environments.arena_names() lists what there is."
            )
            raise ValueError(f"name={self.name!r}: TextArena {package.__version__} has no such game; {hint}")
        return _Game(lambda: package.make(self.name, **self.options), self.name, self.read, task, rng, opponent)


def arena_names() -> list[str]:
    """The names of TextArena's games that tell texts, in order. Some want a key, files or a newer Python."""
    registry = require_textarena("strop.environments.arena_names").envs.registration.ENV_REGISTRY
    return sorted(name for name in registry if "-raw" not in name)


def require_textarena(what: str) -> Any:
    """The textarena package, or a ModuleNotFoundError that says how to install it."""
    try:
        return importlib.import_module("textarena")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{what} needs the package textarena ({error}): pip install "strop[textarena]"'
        ) from error


class _Game:
    """One episode of a TextArena game."""

    def __init__(
        self,
        make: Callable[[], Any],
        name: str,
        read: Reader,
        task: Task,
        rng: np.random.Generator,
        opponent: Player | None,
    ) -> None:
        self._name, self._read, self._task, self._rng, self._opponent = name, read, task, rng, opponent
        self._seed = int(task.data.get("seed", rng.integers(SEEDS)))
        self._seat, self._turns_left = int(task.data.get("seat", 0)), task.data.get("turns")
        self._dice: tuple[Any, Any] = (
            random.Random(self._seed).getstate(),
            np.random.RandomState(self._seed).get_state(),
        )
        self._turn, self._is_over = 0, False
        with self._own_dice():
            self._env = make()

    def start(self) -> Step:
        """What the policy's player sees first."""
        with self._own_dice():
            try:
                self._env.reset(num_players=1 if self._opponent is None else 2, seed=self._seed)
            except AssertionError as error:
                raise ValueError(
                    f"{self._name}: {error}. A game for two stands in strop.environments.Against, with an opponent; "
                    "one for a single player stands alone."
                ) from error
        for text in self._task.data.get("opening", ()):
            self._act(text)
            if self._env.state.error_count or self._is_over:
                raise ValueError(f"task {self._task.id}: opening={text!r}: {self._name} ends there, or forbids it.")
        first = self._until_asked()
        if first.end is not None:
            raise ValueError(f"task {self._task.id}: {self._name} is over before the policy is asked.")
        return first

    def step(self, text: str) -> Step:
        """What the policy's player sees after this text and the replies to it."""
        self._turn += 1
        self._act(text)
        after = self._until_asked()
        is_cut = after.end is None and self._turns_left is not None and self._turn >= self._turns_left
        return replace(after, end=End.TRUNCATED) if is_cut else after

    def close(self) -> None:
        """Close TextArena's game."""
        self._env.close()

    def _act(self, text: str) -> None:
        with self._own_dice():
            self._is_over, _ = self._env.step(action=text)

    def _until_asked(self) -> Step:
        """Let the opponent move until the policy is to, or the game is over."""
        for _ in range(MOST_REPLIES):
            if self._is_over:
                return self._ending()
            with self._own_dice():
                player, said = self._env.get_observation()
            step = replace(self._read(said), replaces=True)
            if player == self._seat:
                return step
            self._act(self._reply(step))
        raise ValueError(f"{self._name}: the opponent made {MOST_REPLIES} moves, and player {self._seat} none.")

    def _reply(self, seen: Step) -> str:
        """The opponent's move. Raises ValueError for one that is not legal where legal ones are known."""
        if self._opponent is None:
            raise ValueError(f"seat={self._seat}: {self._name} has a single player, whose seat is 0.")
        text = seen.text if isinstance(seen.text, str) else seen.text[-1]["content"]
        choices = tuple(seen.choices or ())
        move = self._opponent(self._task, Observation(text, choices, self._turn, self._rng))
        if choices and move not in choices:
            raise ValueError(f"the opponent's move {move!r} is none of {', '.join(choices)}.")
        return move

    def _ending(self) -> Step:
        rewards, told = self._env.close()
        reward = rewards[self._seat]
        if not isinstance(reward, int | float):
            raise ValueError(f"{self._name} gives {reward!r} as a reward, which is no number: it cannot be trained on.")
        return Step(str(told[self._seat].get("reason", "")), float(reward), End.TERMINATED, replaces=True)

    @contextmanager
    def _own_dice(self) -> Iterator[None]:
        """Within this context the global generators are where this game left them, and what it prints is talk.

        Raises TimeoutError if another thread has them for too long; a game that hangs never gives them back.
        """
        if not ALONE.acquire(timeout=WAIT_SECONDS):
            raise TimeoutError(
                f"{self._name} waited {WAIT_SECONDS:g} seconds for the global random generators, which another thread "
                "has: a game that hangs, maybe. Take it out of the run."
            )
        try:
            before = _global_dice()
            _set_global_dice(self._dice)
            try:
                with redirect_stdout(sys.stderr):
                    yield
            finally:
                self._dice = _global_dice()
                _set_global_dice(before)
        finally:
            ALONE.release()


def _global_dice() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()


def _set_global_dice(dice: tuple[Any, Any]) -> None:
    random.setstate(dice[0])
    np.random.set_state(dice[1])
