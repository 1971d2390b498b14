"""An environment in a process of its own, so that what dies in it takes no run with it."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cloudpickle

from strop.environments._child import Call, Child, Died, free_child, give_back
from strop.process import ALONE, RECIPE
from strop.types import Env, Environment, Prompt, Step, Task, check_fields

if TYPE_CHECKING:
    import numpy as np

DEATHS = 3
"""Processes that an episode may take with it before it is FAILED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Plays each episode of `environment` in a process of its own: for simulators and tools that may crash or hang.

    environment  what is called as environment(task, rng) there; it is pickled
    seconds      time limit for a call; below the run's `environment_seconds`, or that ends the wait first

    A process that dies is replaced, and the episode is played again in the new one: the same task, the same dice, and
    the texts that the policy wrote. An environment is a function of these, so the run has the same bits as one in which
    nothing died, and neither the sampler nor the engine hears of it: no token is sampled again. It is checked: an
    environment that says something else when it is played again raises ValueError, which makes the episode FAILED. So
    do three deaths in one episode, with the exit code of the last one, and a call that takes longer than `seconds`,
    whose process is killed. With a process goes what it has started itself. What an episode does to the outside world
    (a file, a database) is done again with it.

    A process serves one episode at a time, and the next after it; there are as many as episodes are played at once.
    Each needs some 40 MB, and what the environment imports. Not on Windows.
    """

    environment: Environment
    seconds: float = 30.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.seconds > 0.0:
            raise ValueError(f"Apart.seconds={self.seconds}: a time limit is positive.")

    def __call__(self, task: Task, rng: np.random.Generator) -> Env:
        """One episode. What the environment draws from `rng` it draws from a copy."""
        return _Episode(_pickled((self.environment, task, rng)), task, self.seconds)


class _Episode:
    """One episode, and what it takes to play it again. One call at a time: a late one is waited for."""

    def __init__(self, made_from: bytes, task: Task, seconds: float) -> None:
        self._make, self._task, self._seconds = Call("make", made_from), task, seconds
        self._past: list[tuple[Call, Any]] = []
        self._deaths = 0
        self._child: Child | None = None
        self._lock = threading.Lock()

    def start(self) -> Prompt | Step:
        """The first prompt."""
        try:
            opening: Prompt | Step = self._ask(Call("start"))
        except BaseException:
            self.close()  # who plays closes only what has started
            raise
        return opening

    def step(self, text: str) -> Step:
        """The reply to a text."""
        step: Step = self._ask(Call("step", text))
        return step

    def close(self) -> None:
        """Close the episode where it is played; its process is free for another. One that dies has freed what it
        held."""
        with self._lock:
            child, self._child = self._child, None
            if child is not None:
                with suppress(Died):
                    child.ask(Call("close"), self._seconds)
                    give_back(child)

    def _ask(self, call: Call) -> Any:
        with self._lock:
            while True:
                try:
                    answer = self._playing().ask(call, self._seconds)
                except Died as death:
                    self._child, self._deaths = None, self._deaths + 1
                    if self._deaths == DEATHS:
                        where = f"in this episode of task {self._task.id}"
                        raise ChildProcessError(
                            f"{DEATHS} processes of the environment died {where}; the last one {death}"
                        ) from None
                else:
                    self._past.append((call, answer))
                    return answer

    def _playing(self) -> Child:
        """The process, where the episode has come as far as it has."""
        if self._child is None:
            self._child = free_child()
            self._child.ask(self._make, self._seconds)
            for call, before in self._past:
                if (again := self._child.ask(call, self._seconds)) != before:
                    raise ValueError(
                        f"the environment's process died, and in another one {call.name} gave {again!r}, where it had "
                        f"given {before!r}: what an environment says must depend on its task, rng and the texts alone."
                    )
        return self._child


def _pickled(what: object) -> bytes:
    """A recipe file is sent as it is: no other process can import it."""
    recipe = sys.modules.get(RECIPE)
    with ALONE:
        if recipe is None:
            return bytes(cloudpickle.dumps(what))
        cloudpickle.register_pickle_by_value(recipe)
        try:
            return bytes(cloudpickle.dumps(what))
        finally:
            cloudpickle.unregister_pickle_by_value(recipe)
