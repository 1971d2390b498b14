"""The text of an answer while its tokens come: what has been said stays as it is."""

from __future__ import annotations

from strop.types import Codec

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""How the bytes of half a character are decoded."""


class GrowingText:
    """Gives the text of tokens that come one by one, so that all parts together are `codec.decode` of all tokens.

    (Bytes that turn out to be no text are what they were taken for first: `decode` may then replace more of them.)

    Half a character waits for the rest of it, and what may begin a stop string waits until it has. Only the newest
    tokens are decoded again: those since the last part, and the part before it, on which a tokenizer's spaces depend.
    """

    def __init__(self, codec: Codec, stop: tuple[str, ...]) -> None:
        self.codec, self.stop = codec, stop
        self.has_stopped = False
        self._tokens: list[int] = []
        self._begin, self._known = 0, 0
        self._held = ""

    def add(self, token: int, is_last: bool) -> str:
        """The text that this token makes certain; with the last one it is all that is left."""
        self._tokens.append(token)
        self._held += self._new(is_last)
        at = min((found for one in self.stop if (found := self._held.find(one)) >= 0), default=None)
        if at is not None:
            self.has_stopped = True
            return self._given(at)
        return self._given(len(self._held) if is_last else len(self._held) - self._may_begin_a_stop())

    def _new(self, is_last: bool) -> str:
        """What the tokens say beyond what is known, if it ends in a whole character or must be said."""
        known = self.codec.decode(tuple(self._tokens[self._begin : self._known]))
        text = self.codec.decode(tuple(self._tokens[self._begin :]))
        if text.endswith(INCOMPLETE) and not is_last:
            return ""
        if len(text) > len(known):  # a token without text, such as one that ends it, must not stand for all before
            self._begin, self._known = self._known, len(self._tokens)
        return text[len(known) :]

    def _given(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _may_begin_a_stop(self) -> int:
        """The characters at the end that are the beginning of a stop string: the longest such end."""
        longest = min(max(map(len, self.stop), default=1) - 1, len(self._held))
        ends = (length for length in range(longest, 0, -1) if self._begins_a_stop(self._held[-length:]))
        return next(ends, 0)

    def _begins_a_stop(self, text: str) -> bool:
        return any(one.startswith(text) for one in self.stop)
