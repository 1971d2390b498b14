"""The one seam before a store: no text gets past it in which personal data was found.

Each conversation has a masker of its own, so that a person keeps their number in it. A conversation that the store knew
before this process did goes on with numbers that stand in it nowhere yet.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from strop.assistant.records import Answered, Feedback
from strop.privacy import Masker
from strop.types import Message

MakeMasker: TypeAlias = Callable[[], Masker]

MOST_CONVERSATIONS = 256
"""Of so many conversations it is remembered who is who."""
MOST_TEXTS = 1_000
"""Of a conversation so many texts are remembered, since every question brings all messages before it again."""


@dataclass(slots=True)
class _Conversation:
    """A masker, and what it said of texts that it has seen, by their hash."""

    masker: Masker
    seen: OrderedDict[bytes, str] = field(default_factory=OrderedDict)

    def masked(self, text: str) -> str:
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if key not in self.seen:
            self.seen[key] = self.masker.masked(text).text
            if len(self.seen) > MOST_TEXTS:
                self.seen.popitem(last=False)
        return self.seen[key]


class Masking:
    """Masks what a store is about to keep. For any number of threads, of which one masks at a time.

    make  makes the masker of a conversation; `strop.privacy.Masker` if nothing is missing that it needs
    kept  the texts that the store has of a conversation
    """

    def __init__(self, make: MakeMasker, kept: Callable[[str], Iterable[str]]) -> None:
        self._make, self._kept = make, kept
        self._alone = threading.Lock()
        self._known = OrderedDict[str, _Conversation]()

    def check(self) -> None:
        """Raise ModuleNotFoundError, with what to install, where no text could be searched."""
        self._make()

    def load(self) -> None:
        """Load the lists of words, so that nobody waits for them: seconds. Raises as `check` does."""
        self._make().masked("Ann Lee, 王小明")

    def text(self, conversation: str, text: str) -> str:
        """A text of a conversation without personal data."""
        with self._alone:
            return self._of(conversation).masked(text)

    def answered(self, answer: Answered) -> Answered:
        """An answer without personal data. Where something was masked, tokens, log-probs and seed are left out: they
        spell the answer as it was, or belong to the question as it was. Raises ValueError for a conversation whose id
        holds personal data."""
        if self._make().masked(answer.conversation).found:
            raise ValueError(
                f"the id of conversation {answer.conversation!r} holds personal data: give a random one instead."
            )
        messages = [
            Message(role=one["role"], content=self.text(answer.conversation, one["content"])) for one in answer.messages
        ]
        text = self.text(answer.conversation, answer.text)
        if text == answer.text and messages == list(answer.messages):
            return answer
        return replace(answer, messages=messages, text=text, tokens=(), logprobs=(), seed=None)

    def said(self, one: Feedback, conversation: str) -> Feedback:
        """Feedback of a conversation without personal data: comments and demonstrations are texts."""
        return replace(one, value=self.text(conversation, one.value)) if isinstance(one.value, str) else one

    def _of(self, conversation: str) -> _Conversation:
        if conversation not in self._known:
            found = _Conversation(self._make())
            for text in self._kept(conversation):
                found.masker.masked(text)
            self._known[conversation] = found
            if len(self._known) > MOST_CONVERSATIONS:
                self._known.popitem(last=False)
        self._known.move_to_end(conversation)
        return self._known[conversation]
