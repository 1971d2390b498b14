"""How long an assistant keeps what people wrote: what is older than its setting is deleted, with the runs that read it.

Versions that learnt from it stay: who agreed, agreed to that. A person who wants these gone as well is forgotten
(`forgetting`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.memory import FILE as MEMORY
from strop.assistant.memory import MemoryStore
from strop.assistant.settling import require_read, settle
from strop.runs.directory import Locked
from strop.words import plural

DAY_SECONDS = 86_400.0
END_SECONDS = 30.0
"""That the end of a server waits for a deletion that is under way."""


def tidy(assistant: Assistant, store: FeedbackStore, tell: Callable[[str], None], now: float | None = None) -> None:
    """Delete what is too old, and what is left of what was deleted. For the only learner of an assistant."""
    delete_old(assistant, store, tell, now)
    found = settle(assistant, store)
    if found.retired:
        numbers = ", ".join(map(str, found.retired))
        tell(f"retired, since they learnt from a person who is forgotten: versions {numbers}")
    require_read(found)


def delete_old(
    assistant: Assistant, store: FeedbackStore, tell: Callable[[str], None], now: float | None = None
) -> None:
    """Delete answers, feedback and facts that are older than `keep_days`; the runs that read them go with `tidy`."""
    days = assistant.settings.keep_days
    if days is None:
        return
    before = (time.time() if now is None else now) - days * DAY_SECONDS
    old, facts = store.erasing.before(before), 0
    if old.answers or old.feedback:
        store.erasing.erase(old, is_retiring=False)
    if (assistant.path / MEMORY).exists():
        with MemoryStore(assistant.path / MEMORY) as memory:
            facts = memory.forget_before(before)
    counts = {"answer": len(old.answers), "piece of feedback": len(old.feedback), "fact": facts}
    if any(counts.values()):
        said = ", ".join(plural(number, name) for name, number in counts.items() if number)
        tell(f"deleted, since they are older than {days:g} days: {said}")


def settle_if_alone(assistant: Assistant, store: FeedbackStore) -> None:
    """Delete what is left of deleted feedback, unless another process learns, which does so at its next round."""
    if not store.erasing.left():
        return
    with ExitStack() as held:
        try:
            held.enter_context(assistant.learner())
        except Locked:
            return
        require_read(settle(assistant, store))


@contextmanager
def daily(assistant: Assistant, store: FeedbackStore, tell: Callable[[str], None]) -> Iterator[None]:
    """Within the block a thread deletes what is too old, at once and then once a day."""
    ending = threading.Event()

    def go_on() -> None:
        while True:
            _tidy_if_alone(assistant, store, tell)
            if ending.wait(DAY_SECONDS):
                return

    thread = threading.Thread(target=go_on, name="strop retention", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(END_SECONDS)
        if thread.is_alive():
            raise TimeoutError(f"waited {END_SECONDS:g} s for the deletion of what is too old.")


def _tidy_if_alone(assistant: Assistant, store: FeedbackStore, tell: Callable[[str], None]) -> None:
    """Tidy, or where another process learns, leave the runs to it. A disk that fails is told, and tried again."""
    try:
        delete_old(assistant, store, tell)
        settle_if_alone(assistant, store)
    except (OSError, ValueError) as error:
        tell(f"what is left of deleted feedback is deleted later: {error}")
