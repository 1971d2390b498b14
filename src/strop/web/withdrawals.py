"""Conversations whose person took back that they are kept, while an answer of them may still be under way."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

Still: TypeAlias = Callable[[], AbstractContextManager[bool]]
"""Opens a block in which nothing is withdrawn; whether what was asked may still be kept."""

MOST_KNOWN = 10_000
"""Withdrawals that are remembered, the newest ones: an answer is under way for some minutes at the most."""


@dataclass(frozen=True, slots=True)
class Withdrawals:
    """How often each conversation was taken back since the server began. What was asked before is not kept."""

    _alone: threading.Lock = field(default_factory=threading.Lock)
    _counts: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def of(self, conversation: str) -> int:
        """How often this one was."""
        return self._counts.get(conversation, 0)

    @contextmanager
    def taking_back(self, conversation: str) -> Iterator[None]:
        """Within the block what is kept of it is deleted, and nothing is kept."""
        with self._alone:
            self._counts[conversation] = self.of(conversation) + 1
            self._counts.move_to_end(conversation)
            if len(self._counts) > MOST_KNOWN:
                self._counts.popitem(last=False)
            yield

    def unless(self, conversation: str, asked: int) -> Still:
        """Whether what was asked when it had been taken back so often may be kept."""

        @contextmanager
        def still() -> Iterator[bool]:
            with self._alone:
                yield self.of(conversation) == asked

        return still
