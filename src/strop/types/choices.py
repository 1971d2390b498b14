"""What a completion may be, where it is one of a few: its tokens, and what may follow each beginning of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

Tokens: TypeAlias = "tuple[int, ...]"


@dataclass(frozen=True)
class Choices:
    """The completions that a turn allows, of which none begins another: each is over where its last token stands."""

    tokens: tuple[Tokens, ...]

    def __post_init__(self) -> None:
        if not self.tokens or not all(self.tokens):
            raise ValueError("choices: at least one is needed, and each needs a token.")
        inner = {one[:length] for one in self.tokens for length in range(len(one))}
        if len(set(self.tokens)) < len(self.tokens) or not inner.isdisjoint(self.tokens):
            raise ValueError("choices: each stands once, and none begins another.")

    def after(self, beginning: Tokens) -> Tokens:
        """The tokens that may follow a beginning, in rising order; none follows a whole choice.

        Raises ValueError for what begins no choice.
        """
        if beginning not in self._following:
            raise ValueError(f"the tokens {beginning} begin none of the {len(self.tokens)} choices.")
        return self._following[beginning]

    def along(self, completion: Tokens) -> tuple[Tokens, ...]:
        """For each token of a completion the tokens that might have stood there. Raises ValueError for no choice."""
        if self.after(completion):
            raise ValueError(f"the tokens {completion} are only the beginning of a choice.")
        return tuple(self._following[completion[:length]] for length in range(len(completion)))

    @property
    def longest(self) -> int:
        """The tokens of the longest one."""
        return max(map(len, self.tokens))

    @cached_property
    def _following(self) -> dict[Tokens, Tokens]:
        found: dict[Tokens, set[int]] = {}
        for one in self.tokens:
            for length, token in enumerate(one):
                found.setdefault(one[:length], set()).add(token)
            found[one] = set()
        return {beginning: tuple(sorted(tokens)) for beginning, tokens in found.items()}
