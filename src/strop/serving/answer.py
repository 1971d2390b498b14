"""An answer while it is being written: one thread adds pieces, others read them, in threads or in asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

from strop.serving.ask import Ask, Finish, Piece

PATIENCE = 600.0
"""Seconds that a reader waits for the next piece before it raises TimeoutError."""


class Answer:
    """The pieces so far, and how it ended; `finish` is None until then.

    Iterate over it, also with `async for`, as often as you like: each time from the first piece, and on to the end. A
    failed answer ends too: read `finish`, and `reason` for why.
    """

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.finish: Finish | None = None
        self.reason = ""
        self._pieces: list[Piece] = []
        self._changed = threading.Condition()
        self._watchers: list[Callable[[], object]] = []

    # ------------------------------------------------------------ for readers

    def __iter__(self) -> Iterator[Piece]:
        return self.pieces(PATIENCE)

    def pieces(self, timeout: float) -> Iterator[Piece]:
        """Piece by piece, as they come. Raises TimeoutError if none comes for so many seconds."""
        read = 0
        while new := self._next(read, timeout):
            yield from new
            read += len(new)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """The same without a thread: the engine's thread wakes the event loop. Whoever stops early calls `cancel`."""
        loop, woken, read = asyncio.get_running_loop(), asyncio.Event(), 0
        wake = self._watch(lambda: loop.call_soon_threadsafe(woken.set))
        try:
            while True:
                woken.clear()
                with self._changed:
                    has_more, new = self._has(read), self._pieces[read:]
                for piece in new:
                    yield piece
                read += len(new)
                if has_more and not new:
                    return
                if has_more:
                    await asyncio.sleep(0)  # a reader that is never through must let others run
                else:
                    await self._until(woken, read)
        finally:
            with self._changed:
                self._watchers = [one for one in self._watchers if one is not wake]

    def text(self, timeout: float = PATIENCE) -> str:
        """The whole text, when it has ended. Raises TimeoutError if no piece comes for so many seconds."""
        return "".join(piece.text for piece in self.pieces(timeout))

    def cancel(self) -> None:
        """End it, unless it has ended; its row in the batch is free at the next token."""
        self.end("cancelled", "it was cancelled")

    # ------------------------------------------------------------ for the engine

    def add(self, piece: Piece) -> None:
        """One more piece; nothing once it has ended."""
        with self._changed:
            if self.finish is None:
                self._pieces.append(piece)
                self._tell()

    def end(self, finish: Finish, reason: str = "") -> None:
        """The first call ends it; later ones do nothing."""
        with self._changed:
            if self.finish is None:
                self.finish, self.reason = finish, reason
                self._tell()

    # ------------------------------------------------------------ inside

    def _next(self, read: int, timeout: float) -> list[Piece]:
        """The pieces after so many, when there are some; none once it has ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has(read), timeout):
                raise TimeoutError(self._waited(read, timeout))
            return self._pieces[read:]

    def _has(self, read: int) -> bool:
        """Whether there is something after so many pieces: others, or the end."""
        return len(self._pieces) > read or self.finish is not None

    def _tell(self) -> None:
        """Wake all who wait. The caller holds the condition."""
        self._changed.notify_all()
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            try:
                watcher()
            except RuntimeError:  # the event loop of this reader is closed: nobody reads there any more
                continue
            self._watchers.append(watcher)

    def _watch(self, watcher: Callable[[], object]) -> Callable[[], object]:
        with self._changed:
            self._watchers.append(watcher)
        return watcher

    async def _until(self, woken: asyncio.Event, read: int) -> None:
        began = time.monotonic()
        try:
            await asyncio.wait_for(woken.wait(), PATIENCE)
        except TimeoutError:
            raise TimeoutError(self._waited(read, time.monotonic() - began)) from None

    def _waited(self, read: int, seconds: float) -> str:
        return (
            f"waited {seconds:.3g} s for token {read + 1} of an answer to a prompt of {len(self.ask.prompt)} tokens. "
            "Its engine is stuck, or many longer requests come first: see Engine.health."
        )
