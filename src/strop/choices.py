"""The texts that an action may be, as a codec's tokens: those of the turn, else those that the run's sampling names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from strop.types import Choices, Codec, Sampling, Task, Tokens, shown

MOST_KEPT = 4096
"""Different sets of choices, such as the legal moves of a position, that are kept in memory."""


class Choosing:
    """Which completions a turn allows. Choices are an action of their own: nothing ends them but their last token.

    One that is the beginning of another has the codec's end token behind it, which is sampled and scored as all are.
    `refusal` says why there may be none; empty where there may.
    """

    def __init__(self, codec: Codec, sampling: Sampling, refusal: str = "") -> None:
        self.refusal = refusal
        self.codec, self.named, self.max_tokens = codec, sampling.choices, sampling.max_tokens
        self._read = lru_cache(MOST_KEPT)(self._read_new)
        self._encode = lru_cache(MOST_KEPT)(codec.encode)

    def of(self, task: Task, own: Sequence[str] | None = None) -> Choices | None:
        """The choices of a turn of this task, which may have some of its `own`; None allows every text.

        Raises ValueError for choices that cannot be told apart, are empty, or are longer than `max_tokens`; and for any
        where there may be none.
        """
        texts = self._named(task) if own is None else tuple(own)
        if texts and self.refusal:
            raise ValueError(self.refusal)
        return self._read(texts) if texts else None

    def tokens_of(self, text: str, choices: Choices) -> Tokens:
        """The tokens of a text that is one of these choices. Raises ValueError for another one."""
        tokens = self._encode(text)
        for one in choices.tokens:
            if one == tokens or (one[:-1] == tokens and one[-1] == self.codec.end):
                return one
        there = ", ".join(repr(self.codec.decode(one)) for one in choices.tokens[:8])
        raise ValueError(f"{shown(text)} is none of the choices ({there}{', ...' if len(choices.tokens) > 8 else ''})")

    def _named(self, task: Task) -> tuple[str, ...]:
        """The choices that the run's sampling names: texts, or a field of the task's data."""
        if not isinstance(self.named, str):
            return tuple(self.named)
        if self.named not in task.data:
            raise ValueError(
                f"task {task.id}: sampling.choices={self.named!r} names a field of its data, which has "
                f"{', '.join(map(repr, task.data)) or 'none'}."
            )
        texts = task.data[self.named]
        if isinstance(texts, list | tuple) and texts and all(isinstance(text, str) for text in texts):
            return tuple(texts)
        raise ValueError(f"task {task.id}: data[{self.named!r}]={shown(texts)}: choices are a list of texts.")

    def _read_new(self, texts: tuple[str, ...]) -> Choices:
        tokens = {text: self._encode(text) for text in texts}
        if empty := [text for text in texts if not tokens[text]]:
            raise ValueError(f"choices: {shown(empty[0])} has no token; a choice has at least one.")
        first: dict[Tokens, str] = {}
        for number, text in enumerate(texts):
            other = first.setdefault(tokens[text], text)
            if other != text or text in texts[:number]:
                # in quotes as they are: the two may differ by a space
                told = "stands twice" if other == text else f"and {other!r} are the same tokens for this policy"
                raise ValueError(f"choices: {text!r} {told}; each choice needs tokens of its own.")
        longer = {one[:length]: text for text, one in tokens.items() for length in range(1, len(one))}
        whole = tuple(self._ended(text, one, longer.get(one)) for text, one in tokens.items())
        for text, one in zip(tokens, whole, strict=True):
            if len(one) > self.max_tokens:
                raise ValueError(
                    f"choices: {shown(text)} has {len(one)} tokens, and sampling.max_tokens={self.max_tokens}: "
                    "raise it."
                )
        return Choices(whole)

    def _ended(self, text: str, tokens: Tokens, longer: str | None) -> Tokens:
        """The tokens, and the end token if another choice goes on behind them."""
        if longer is None:
            return tokens
        if self.codec.end is None:
            raise ValueError(
                f"choices: {shown(text)} is the beginning of {shown(longer)}, and this policy has no end token that "
                "would tell them apart: word one of them differently."
            )
        return (*tokens, self.codec.end)


def require_choices(sampling: Sampling, choices: Sequence[Choices | None]) -> None:
    """Raise ValueError where `sampling` names choices that nobody has turned into tokens."""
    if sampling.choices and not all(choices or [None]):
        raise ValueError(
            f"sampling.choices={shown(sampling.choices)} are texts: whoever samples gives each prompt its choices as "
            "tokens, which strop.choices.Choosing reads."
        )
