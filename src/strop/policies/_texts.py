"""Texts as a masked encoder reads them: its special tokens, and the codec that puts them around a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from strop.codec import HFCodec, as_words, codec_of
from strop.hub.export import tokenizer_of
from strop.types import END_TOKEN, Prompt, Tokenizer, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MASK_TOKEN = "<mask>"
"""The mask of a tokenizer from scratch: a token behind all others."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The special tokens of a masked encoder.

    begin      stands before a text ([CLS]); what the encoder makes of it stands for the whole text
    separator  stands behind each of its parts ([SEP])
    mask       stands in the place of a hidden token ([MASK])
    special    all tokens that are no text; neither hidden nor put in a hidden one's place
    size       the tokens in all
    """

    begin: int
    separator: int
    mask: int
    special: frozenset[int]
    size: int

    @staticmethod
    def of(tokenizer: Any) -> Marks:
        """Those of a tokenizer. Raises ValueError if it lacks one."""
        begin, separator, mask = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id
        found = {"cls_token": begin, "sep_token": separator, "mask_token": mask}
        if lost := [name for name, token in found.items() if token is None]:
            raise ValueError(
                f"the tokenizer {tokenizer.name_or_path} has no {' and no '.join(lost)}: that of a masked encoder "
                "(BERT and its kin) has a token that begins a text, one that ends its parts, and a mask."
            )
        return Marks(begin, separator, mask, frozenset(tokenizer.all_special_ids), len(tokenizer))

    def types(self, tokens_BT: Tensor) -> Tensor:
        """[B, T]: the segment of each token: 0 up to the separator that closes the first part, 1 behind it."""
        is_separator_BT = tokens_BT == self.separator
        is_separator_BT[:, 0] = False  # from scratch one token begins texts and ends them
        return ((is_separator_BT.cumsum(dim=1) - is_separator_BT.long()) > 0).long()


def tokenizer_from_scratch(words: Sequence[str], tokenizer: Tokenizer | None) -> PreTrainedTokenizerFast:
    """The tokenizer of these words, or this one, with a mask behind its last token; `<end>` begins texts and ends their
    parts, as it does documents. Raises ValueError unless exactly one of the two is given."""
    from tokenizers import Tokenizer as Backend
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    codec, _ = codec_of(words, True, tokenizer)
    backend = Backend.from_str(tokenizer_of(codec).backend_tokenizer.to_str())
    backend.post_processor = TemplateProcessing(
        single=f"{END_TOKEN} $A {END_TOKEN}",
        pair=f"{END_TOKEN} $A {END_TOKEN} $B:1 {END_TOKEN}:1",
        special_tokens=[(END_TOKEN, codec.end)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token=END_TOKEN,
        sep_token=END_TOKEN,
        pad_token=END_TOKEN,
        mask_token=MASK_TOKEN,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )


class TextCodec:
    """`[CLS] prompt [SEP]`, and behind it an answer that `[SEP]` ends; of an empty prompt `[CLS]` alone.

    With `actions` there is no answer to write but one of these words: ids below the number of actions are actions, and
    the id of a token is its own plus that number. A new text replaces the old one, and `sampling.max_tokens` is 1, as
    with `VectorCodec`.
    """

    def __init__(self, tokenizer: Any, actions: Sequence[str] = ()) -> None:
        if len(set(actions)) < len(actions):
            raise ValueError(f"policy.actions={list(actions)}: each of them is given once.")
        self.tokenizer, self.actions, self.marks = tokenizer, tuple(actions), Marks.of(tokenizer)
        self.end: int | None = None if actions else self.marks.separator
        self.stop = frozenset() if self.end is None else frozenset({self.end})
        self._texts = HFCodec(tokenizer)

    def start(self, prompt: Prompt) -> Tokens:
        """The ids of a first prompt; messages are joined by a space."""
        tokens = self._texts.encode(as_words(prompt))
        if not tokens and self.actions:
            raise ValueError("the prompt encodes to no token at all: give it at least one character.")
        return self._above((self.marks.begin, *tokens, *([self.marks.separator] if tokens else [])))

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The next prompt: all that stood and the reply as one more part; with actions the reply alone."""
        if self.actions:
            return self.start(reply)
        stood = prompt + completion
        closed = stood if stood[-1] == self.marks.separator else (*stood, self.marks.separator)
        return (*closed, *self._texts.encode(as_words(reply)), self.marks.separator)

    def encode(self, text: str) -> Tokens:
        """The ids of an answer, without special tokens; with actions the one id of the action."""
        if not self.actions:
            return self._texts.encode(text)
        if text not in self.actions:
            raise ValueError(f"{text!r} is not one of the actions ({', '.join(self.actions[:8])}).")
        return (self.actions.index(text),)

    def decode(self, tokens: Tokens) -> str:
        """The text, without the separator that ended it; of an action its word."""
        if self.actions and all(token < len(self.actions) for token in tokens):
            return " ".join(self.actions[token] for token in tokens)
        own = [token - len(self.actions) for token in tokens]
        ended = bool(own) and own[-1] == self.marks.separator
        return str(self.tokenizer.decode(own[:-1] if ended else own, skip_special_tokens=False))

    def with_actions(self, actions: Sequence[str]) -> TextCodec:
        """The same tokens with these actions."""
        return TextCodec(self.tokenizer, actions)

    def _above(self, tokens: Tokens) -> Tokens:
        return tuple(token + len(self.actions) for token in tokens)
