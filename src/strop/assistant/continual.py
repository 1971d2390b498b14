"""Round after round, in a process of its own: whenever there is enough new feedback, or by the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.judge import JudgedBy, check_judge
from strop.assistant.learning import Learnt, NothingToLearn, one_round
from strop.assistant.queue import waiting
from strop.serving.running import told
from strop.words import plural

LOOK_SECONDS = 5.0
"""Between two looks at the feedback."""
PAUSE_SECONDS = 60.0
"""After a round that failed."""
MOST_FAILURES = 3
"""In a row, after which the learner gives up."""


class GaveUp(RuntimeError):
    """Round after round failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When a round begins: after so many new pieces of feedback, or so many seconds after the last one began."""

    after: int | None = None
    every: float | None = None

    def __post_init__(self) -> None:
        if (self.after is None) == (self.every is None):
            raise ValueError(f"after={self.after}, every={self.every}: give one of them.")
        if self.after is not None and self.after < 1:
            raise ValueError(f"after={self.after}: it is at least 1 piece of feedback.")
        if self.every is not None and not 0.0 < self.every < float("inf"):
            raise ValueError(f"every={self.every}: it is a number of seconds above 0.")

    def reason(self, new: int, seconds: float) -> str:
        """Why a round begins with so much new feedback, so long after the last one began; empty if none does."""
        if self.after is not None:
            return f"there are {plural(new, 'new piece')} of feedback" if new >= self.after else ""
        assert self.every is not None
        return f"it is {seconds:.0f} s since the last round began" if seconds >= self.every else ""


def learn_continually(
    path: Path | str,
    when: When,
    judge: JudgedBy = "auto",
    *,
    progress: bool = True,
    tell: Callable[[str], None],
    learnt: Callable[[Learnt], None],
    wait: Callable[[float], object] | None = None,
) -> None:
    """Learn until Ctrl-C. `learnt` is handed what each round came to, and `tell` why it began, or why it did not.

    The first round by the clock begins at once, and completes what a crash cut off. A round that fails is told and
    tried again after a pause. Raises GaveUp after three in a row, and ValueError where another process learns.

    wait  waits so many seconds: a test has a clock of its own
    """
    check_judge(judge)
    assistant = Assistant(Path(path))
    with assistant.learner(), assistant.feedback() as store:
        learner = _Learner(assistant, store, when, judge, progress, tell, learnt, wait or threading.Event().wait)
        while True:
            learner.wait_for_a_reason()
            learner.round()


@dataclass(slots=True)
class _Learner:
    """What the rounds share, and what is known of the last one: `seen` is the feedback before it."""

    assistant: Assistant
    store: FeedbackStore
    when: When
    judge: JudgedBy
    progress: bool
    tell: Callable[[str], None]
    learnt: Callable[[Learnt], None]
    wait: Callable[[float], object]
    seen: int = field(init=False)
    began: float = field(init=False, default=float("-inf"))
    failures: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.seen = self.store.last() - len(waiting(self.assistant.versions, self.store.feedback()))

    def wait_for_a_reason(self) -> None:
        """Until there is one, which is told."""
        is_told = False
        while not (reason := self._reason()):
            if not is_told:
                self.tell(self._waits())
                is_told = True
            self.wait(LOOK_SECONDS)
        self.tell(f"a round begins: {reason}")

    def round(self) -> None:
        """One round. Raises GaveUp where too many failed."""
        seen, self.began = self.store.last(), time.monotonic()
        try:
            found = one_round(self.assistant, self.store, self.judge, self.progress, self.tell)
        except NothingToLearn as error:
            self.tell(str(error))
        except Exception as error:  # whatever it is, the next round may go well; the loop ends where it does not
            self._failed(error)
            return
        else:
            self.learnt(found)
        self.seen, self.failures = seen, 0

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self.tell(f"the round failed, {self.failures} of {MOST_FAILURES} in a row: {told(error)}")
        if self.failures == MOST_FAILURES:
            raise GaveUp(f"{MOST_FAILURES} rounds failed in a row, the last one with {told(error)}") from error
        self.wait(PAUSE_SECONDS)

    def _reason(self) -> str:
        if self.failures:
            return "the last one failed"
        if self.began == float("-inf") and self.when.every is not None:
            return "the learner was started"
        return self.when.reason(self.store.last() - self.seen, time.monotonic() - self.began)

    def _waits(self) -> str:
        if self.when.after is not None:
            new = self.store.last() - self.seen
            return f"waits for {plural(self.when.after, 'new piece')} of feedback: {new} so far"
        assert self.when.every is not None
        return f"waits {self.when.every - (time.monotonic() - self.began):.0f} s for the next round"
