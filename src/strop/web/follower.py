"""Follows an assistant's folder: when another version serves or waits, the server changes to it, and nobody is cut off.

A version is loaded beside those that answer, which takes the memory of both. Then new requests go to it, and the old
one is let go once it has answered all that it was asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from strop.assistant.believed import believing
from strop.assistant.canary import Canary, begun, write_canary
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.memory import MemoryStore
from strop.serving.engine import Engine
from strop.serving.running import told
from strop.web.door import Door
from strop.web.guard import Limits
from strop.web.served import Served, Version

LOOK_SECONDS = 1.0
"""Between two looks at the folder."""
LOAD_SECONDS = 120.0
"""That the end of a server waits for a version which is just being loaded."""


class Follower:
    """The engines of an assistant's versions. Within a `with` a thread looks at the folder; the end closes them all.

    A version that cannot be loaded, as one whose files are damaged, is refused in a sentence, also in `/health`, and
    what served goes on. Raises DamagedVersion where that is so at the start.

    memory  None keeps nothing, neither in it nor in the store, which is read
    share   of the conversations that a version which waits answers, until it is shown to be worse
    """

    def __init__(
        self,
        assistant: Assistant,
        store: FeedbackStore,
        memory: MemoryStore | None,
        limits: Limits,
        tell: Callable[[str], None],
        share: float = 0.0,
        door: Door | None = None,
    ) -> None:
        self.assistant, self._store, self._limits, self._tell, self._share = assistant, store, limits, tell, share
        self._seen = -1
        self._stamp, self._leaving = assistant.versions.stamp, list[Engine]()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"follower of {assistant.path}", daemon=True)
        name, number = assistant.path.resolve().name, assistant.versions.serving
        kept, engine = None if memory is None else store, Engine(assistant.actor(number))
        self.served = Served(name, engine, number, kept, limits, memory, assistant, door)

    def __enter__(self) -> Served:
        self._guarded(self._wait_beside)
        self._thread.start()
        return self.served

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(LOAD_SECONDS)
        for engine in [*self._leaving, *(one.engine for one in self.served.versions)]:
            engine.close(self._limits.stop_seconds)
        if self._thread.is_alive():
            raise TimeoutError(f"waited {LOAD_SECONDS:g} s for a version of {self.assistant.path} to be loaded.")

    def look(self) -> None:
        """Serve what the folder says, if that has changed; let go of versions that have answered their last request."""
        self._leaving = [engine for engine in self._leaving if not engine.has_ended]
        self._guarded(self._change)
        self._guarded(self._watch_canary)

    # ------------------------------------------------------------ inside

    def _follow(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self.look()

    def _guarded(self, act: Callable[[], None]) -> None:
        """What is wrong with a version, whatever it is, must not end those that answer: it is told once."""
        try:
            act()
        except Exception as error:
            refused = str(error) if isinstance(error, ValueError) else told(error)
            if refused != self.served.refused:
                self.served.refused = refused
                self._tell(f"{self.served.serves.label} goes on: {refused}")

    def _change(self) -> None:
        stamp = self.assistant.versions.stamp
        if stamp == self._stamp:
            return
        self._stamp = stamp
        before, number = self.served.serves, self.assistant.versions.serving
        if number != before.number:
            self._serve([one for one in self.served.versions if one.number in (before.number, number)])
            self._serve([self._version(number)])
            self._tell(f"version {number} serves; what version {before.number} was asked, it answers to the end")
        self.served.refused = ""
        self._wait_beside()

    def _wait_beside(self) -> None:
        """Have the version that waits beside the one that serves, and no other one."""
        serves, waits = self.served.serves, self.assistant.versions.open_candidate()
        if waits is None or waits == serves.number:
            self._serve([serves])
        elif [one.number for one in self.served.versions[1:]] != [waits]:
            self._serve([serves])  # before the next one is loaded, so that there are never three
            beside = self._version(waits)
            self._serve([serves, beside], self._canary(waits, serves.number))
            self._tell(f"version {waits} waits for people to compare it with version {serves.number}{self._told()}")

    def _canary(self, version: int, beside: int | None) -> Canary | None:
        assert beside is not None
        self._seen = -1
        return begun(self.assistant.path, version, beside, self._share, time.time())

    def _told(self) -> str:
        canary = self.served.canary
        if canary is None or not self._share:
            return ""
        return f"; it is no canary: {canary.ended}" if canary.ended else f", and answers {canary.share:g} of all"

    def _watch_canary(self) -> None:
        """Let the version that serves answer all again, where the canary is shown to be worse.

        Who is believed depends on all that was said, so one looks again when there is a hundredth more of it.
        """
        canary, seen = self.served.canary, self._store.last()
        if canary is None or canary.ended or not canary.share or seen <= self._seen * 1.01:
            return
        self._seen = seen
        found = believing(self.assistant, self._store).standing(canary)
        if found.is_worse:
            ended = replace(canary, ended=f"it is worse than version {canary.beside}: {found}")
            self.served.change(self.served.versions, ended)
            self._tell(f"version {canary.version} answers no more conversations: {ended.ended}")
            write_canary(self.assistant.path, ended)

    def _serve(self, versions: list[Version], canary: Canary | None = None) -> None:
        """Change to these, and let the others end."""
        kept = [one.engine for one in versions]
        gone = [one.engine for one in self.served.versions if one.engine not in kept]
        self.served.change(versions, canary)
        for engine in gone:
            engine.retire()
        self._leaving += gone

    def _version(self, number: int) -> Version:
        """A version that answers already, or one that is loaded now."""
        for one in self.served.versions:
            if one.number == number:
                return one
        return Version(self.served.name, Engine(self.assistant.actor(number)), number)
