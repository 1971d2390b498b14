"""Continuous batching: requests that arrive while others are being answered join their batch at the next token."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch

from strop.choices import require_choices
from strop.functional.bounds import check_at_least
from strop.serving.actor import Actor
from strop.serving.answer import Answer
from strop.serving.ask import Ask, Busy, Closed
from strop.serving.running import Row, Running, told

READ_AT_ONCE = 2048
"""Tokens of newcomers' prompts that are read between two tokens of the others, who wait meanwhile; one longer prompt
is read whole."""
LAST_STEP = 60.0
"""Seconds that `close` allows for the step that is under way when its time is over."""


@dataclass(frozen=True, slots=True)
class Health:
    """How an engine is: how many requests run and wait, whether it accepts more, and why decoding failed last."""

    running: int
    waiting: int
    is_open: bool
    error: str


class Engine:
    """Answers with one actor, in a thread of its own; `ask` may be called from any thread.

    At each step every running row gets a token, so a short answer never waits for a long one. Newcomers' prompts are
    read in a batch of their own between two steps, and their rows joined. A row's dice are its own, so that it draws
    the text that it would draw alone, up to the rounding of log-probs that a batch brings.

    `waiting` is how many requests may wait for one of the `batch` rows. The weights stay as they are while a row runs;
    a thread that waits to change them has its turn before newcomers.
    """

    def __init__(self, actor: Actor, waiting: int = 64, batch: int = 64) -> None:
        check_at_least("waiting", waiting, 1)
        check_at_least("batch", batch, 1)
        self.actor, self.waiting, self.batch = actor, waiting, batch
        self._changed = threading.Condition()
        self._queue: deque[tuple[float, Row]] = deque()
        self._running = Running(actor.policy)
        self._is_open, self._is_cut = True, False
        self._waited, self._error = 0.0, ""
        self._thread = threading.Thread(target=self._serve, name=f"engine of {actor.name}", daemon=True)
        self._thread.start()

    def ask(self, ask: Ask) -> Answer:
        """The answer, which is being written or waits for a row.

        Raises ValueError for a prompt that leaves no token of the context, Busy where too many wait, Closed after
        `close`.
        """
        require_choices(ask.sampling, [ask.choices])
        context = self.actor.policy.context
        if context is not None and len(ask.prompt) >= context:
            raise ValueError(
                f"the prompt has {len(ask.prompt)} tokens, and the context is {context} with the answer: shorten it."
            )
        row = Row(Answer(ask), self.actor)
        with self._changed:
            if not self._is_open:
                raise Closed(f"the engine of {self.actor.name} accepts no more requests.")
            self._queue = deque(entry for entry in self._queue if entry[1].is_running)
            if len(self._queue) >= self.waiting:
                raise Busy(len(self._queue), max(math.ceil(self._waited), 1))
            self._queue.append((time.monotonic(), row))
            self._changed.notify_all()
        return row.answer

    @property
    def health(self) -> Health:
        """How it is now. `error` stands until decoding succeeds again."""
        with self._changed:
            return Health(len(self._running.rows), len(self._queue), self._is_open, self._error)

    def retire(self) -> None:
        """Accept no more; who runs or waits is answered, and then the thread ends. Returns at once."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    @property
    def has_ended(self) -> bool:
        """Whether all is answered after `retire` or `close`: nothing happens any more."""
        return not self._thread.is_alive()

    def has_ended_within(self, seconds: float) -> bool:
        """Whether all is answered so many seconds after `retire`, for which it waits; nothing is cancelled."""
        self._thread.join(seconds)
        return self.has_ended

    def close(self, timeout: float = 30.0) -> None:
        """Accept no more, cancel those that wait, and let those that run end; cancel them too after so many seconds.

        Raises TimeoutError if the thread does not end even then.
        """
        with self._changed:
            self._is_open = False
            for _, row in self._queue:
                row.answer.end("cancelled", "the engine closed before it began")
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join(timeout)
        self._is_cut = True
        self._thread.join(LAST_STEP)
        if self._thread.is_alive():
            raise TimeoutError(
                f"waited {timeout + LAST_STEP:g} s for the running step of {self._thread.name}: its model takes longer "
                "for one token, or hangs."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ the thread

    @torch.inference_mode()
    def _serve(self) -> None:
        while self._has_work():
            try:
                with self.actor.policy.lock.reading():
                    self._answer()
            except Exception as error:  # what runs is lost with its state; those that wait begin anew
                self._fail(error)

    def _has_work(self) -> bool:
        """Waits for a request. False once the engine is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or not self._is_open)
            return bool(self._queue)

    def _answer(self) -> None:
        """Until no row runs."""
        while True:
            self._admit(self._newcomers())
            if self._is_cut:
                for row in self._running.rows:
                    row.answer.end("cancelled", "the engine closed")
            if not self._running.rows:
                return
            self._running.step()
            self._error = ""

    def _admit(self, newcomers: list[Row]) -> None:
        try:
            self._running.admit(newcomers)
        except Exception as error:  # they may be neither in the queue nor among the rows that `_fail` knows
            for row in newcomers:
                row.fail(error)
            raise

    def _newcomers(self) -> list[Row]:
        """Who has waited longest, as far as there are rows and their prompts are not too much to read at once.

        Nobody while another thread waits to change the weights: it gets its turn when the running rows have ended.
        """
        found, tokens = list[Row](), 0
        with self._changed:
            while self._queue and not self.actor.policy.lock.is_wanted:
                since, row = self._queue[0]
                tokens += len(row.ask.prompt)
                if len(self._running.rows) + len(found) == self.batch or (found and tokens > READ_AT_ONCE):
                    break
                self._queue.popleft()
                if row.is_running:
                    found.append(row)
                    self._waited = time.monotonic() - since
        return found

    def _fail(self, error: Exception) -> None:
        """End what runs with the reason, and begin with a state of its own."""
        with self._changed:
            self._error = told(error)
            failed, self._running = self._running.rows, Running(self.actor.policy)
        for row in failed:
            row.fail(error)
