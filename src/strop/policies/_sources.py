"""The codec of what an encoder reads and a decoder writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.codec import HFCodec, as_lines
from strop.types import Prompt, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class SourceCodec(HFCodec):
    """The tokenizer of a sequence-to-sequence model, whose prompts end with its special tokens (T5: `</s>`).

    A later turn's prompt is one source again: they stand behind the reply, not in the middle. Answers are encoded as
    targets, in which some tokenizers differ from sources.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[int] = ()) -> None:
        super().__init__(tokenizer, stop)
        plain, whole = self._encode("a"), self._encode("a", special=True)
        first = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
        self._closing = whole[first + len(plain) :]

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The next source: the old one, the sampled answer and the reply, and then what ends a source."""
        ends = self._closing and prompt[-len(self._closing) :] == self._closing
        opened = prompt[: -len(self._closing)] if ends else prompt
        written = completion[:-1] if completion and completion[-1] in self.stop else completion
        return opened + written + self._encode(as_lines(reply)) + self._closing

    def encode(self, text: str) -> Tokens:
        """The ids of an answer's text, without special tokens."""
        return tuple(self.tokenizer(text_target=text, add_special_tokens=False)["input_ids"])
