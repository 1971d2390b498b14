"""A pretended ray in this process: actors are objects, and their calls are done one at a time, in an order by dice.

It can do to an actor what happens to a process: die in the middle of a call, hang for ever, or die while it starts. It
can also let an answer arrive too late, when its actor was just given up, and damage what it carries.
"""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.machinery import ModuleSpec
from typing import Any

from strop.scale.weights import Packed

FINE, DIES, HANGS, LATE, DAMAGED = "fine", "dies", "hangs", "late", "damaged"
Fate = Callable[[str, tuple[Any, ...]], str]
"""(method, its arguments) -> what becomes of the actor in this call."""


class RayError(Exception):
    """Whatever Ray raises."""


class ActorDiedError(RayError):
    """The process of an actor is gone."""


class RayTaskError(RayError):
    """What the actor's own code raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Ref:
    """The answer of a call, once it is there."""

    def __init__(self) -> None:
        self.there, self.value, self.error = False, None, None

    def settle(self, value: Any = None, error: Exception | None = None) -> None:
        self.there, self.value, self.error = True, value, error


class Actor:
    """An object whose methods are called later."""

    def __init__(self, ray: PretendRay, made: Callable[[], Any]) -> None:
        self._ray, self._made, self.object = ray, made, None
        self.calls: list[tuple[Ref, str, tuple[Any, ...]]] = []
        self.is_dead = self.hangs = False
        self.late: list[tuple[Ref, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> Ref:
            ref = Ref()
            self.calls.append((ref, name, arguments))
            if self.is_dead:
                self.die()
            return ref

        return types.SimpleNamespace(remote=remote)

    def die(self) -> None:
        self.is_dead = True
        for ref, _, _ in self.calls:
            ref.settle(error=ActorDiedError("The actor is dead because its worker process has died."))
        self.calls = []

    def do_one(self) -> None:
        ref, name, arguments = self.calls[0]
        fate = self._ray.fate(name, arguments)
        if fate == DIES:
            self.die()
        elif fate == HANGS:
            self.hangs = True
        elif fate == LATE:
            self.hangs, self.late = True, [(ref, self.answer(name, arguments))]
        else:
            self.calls.pop(0)
            try:
                ref.settle(self.answer(name, arguments, damaged=fate == DAMAGED))
            except Exception as error:
                ref.settle(error=RayTaskError(error))

    def answer(self, name: str, arguments: tuple[Any, ...], damaged: bool = False) -> Any:
        self.object = self.object or self._made()
        self._ray.is_damaging = damaged
        return getattr(self.object, name)(*(self._ray.plain(one) for one in arguments))


class PretendRay(types.ModuleType):
    """The module `ray`."""

    def __init__(self, fate: Fate, seed: int) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.exceptions = types.SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.cloudpickle = types.SimpleNamespace(
            register_pickle_by_value=lambda module: None, unregister_pickle_by_value=lambda module: None
        )
        self.fate, self.dice, self.actors, self.num_killed = fate, random.Random(seed), list[Actor](), 0
        self.is_damaging = False

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0}

    def put(self, value: Any) -> Ref:
        ref = Ref()
        ref.settle(value)
        return ref

    def get(self, ref: Ref) -> Any:
        assert ref.there, "it is asked for before it is there"
        if ref.error is not None:
            raise ref.error
        return self.damaged(ref.value) if self.is_damaging and isinstance(ref.value, Packed) else ref.value

    def damaged(self, packed: Packed) -> Packed:
        return replace(packed, tensors=packed.tensors ^ 1)

    def plain(self, argument: Any) -> Any:
        """What a method is given: Ray fetches references that are arguments themselves."""
        return self.get(argument) if isinstance(argument, Ref) else argument

    def remote(self, kind: type) -> Any:
        def made(*arguments: Any) -> Actor:
            self.actors.append(actor := Actor(self, lambda: kind(*arguments)))
            return actor

        return types.SimpleNamespace(options=lambda **options: types.SimpleNamespace(remote=made))

    def wait(self, refs: list[Ref], num_returns: int, timeout: float) -> tuple[list[Ref], list[Ref]]:
        while not any(ref.there for ref in refs) and self.work():
            pass
        ready = [ref for ref in refs if ref.there][:num_returns]
        return ready, [ref for ref in refs if ref not in ready]

    def kill(self, actor: Actor) -> None:
        self.num_killed += 1
        actor.hangs = False
        for ref, value in actor.late:
            actor.calls = [call for call in actor.calls if call[0] is not ref]
            ref.settle(value)
        actor.die()

    def work(self) -> bool:
        """One call of one actor; whether there was one."""
        busy = [actor for actor in self.actors if actor.calls and not actor.hangs]
        if busy:
            self.dice.choice(busy).do_one()
        return bool(busy)


@contextmanager
def pretended(fate: Fate = lambda name, arguments: FINE, seed: int = 0) -> Iterator[PretendRay]:
    """`import ray` gives this one."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "ray"}
    ray = PretendRay(fate, seed)
    sys.modules["ray"] = ray
    try:
        yield ray
    finally:
        del sys.modules["ray"]
        sys.modules.update(before)
