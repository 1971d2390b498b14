"""Text to tokens and back.

A codec never re-encodes what the policy sampled: `extend` appends to the existing ids. `stop` tokens end a completion;
they are actions, sampled, scored and trained like any other token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from strop.types import END_TOKEN, Message, Prompt, Tokenizer, Tokens, messages_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

END_WORD = "<end>"


class WordCodec:
    """One token per word, split at white space, over a fixed vocabulary; the last id is the end of a completion.

    With `has_end=False` there is no stop token: every completion is exactly `max_tokens` words.
    """

    def __init__(self, words: Sequence[str], has_end: bool = True) -> None:
        words = [*words, END_WORD] if has_end else list(words)
        repeated = sorted({word for word in words if words.count(word) > 1})
        if repeated:
            raise ValueError(f"the vocabulary holds {', '.join(repeated)} more than once.")
        self.words = tuple(words)
        self._id = {word: i for i, word in enumerate(words)}
        self.end = self._id[END_WORD] if has_end else None
        self.stop = frozenset() if self.end is None else frozenset({self.end})

    @property
    def size(self) -> int:
        """The number of tokens, the end token included."""
        return len(self.words)

    def start(self, prompt: Prompt) -> Tokens:
        """The ids of a first prompt; messages are joined by a space."""
        tokens = self.encode(as_words(prompt))
        if not tokens:
            raise ValueError("an empty prompt has no state to act in: give it at least one word.")
        return tokens

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The next prompt: the old prompt, the sampled completion and the reply's words."""
        return prompt + completion + self.encode(as_words(reply))

    def encode(self, text: str) -> Tokens:
        """The ids of a text; an unknown word is an error that names the nearest known ones."""
        unknown = [word for word in text.split() if word not in self._id]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not in the vocabulary of {self.size} words ({_some(self.words)}).")
        return tuple(self._id[word] for word in text.split())

    def decode(self, tokens: Tokens) -> str:
        """The words, without the end token."""
        return " ".join(self.words[token] for token in tokens if token != self.end)


class ByteCodec:
    """UTF-8 bytes 0..255 and one end token, 256. Any text has an encoding; a cut character decodes to U+FFFD."""

    end = 256
    stop = frozenset({256})
    size = 257

    def start(self, prompt: Prompt) -> Tokens:
        """The bytes of a first prompt; messages are written as `role: content` lines."""
        tokens = self.encode(as_lines(prompt))
        if not tokens:
            raise ValueError("an empty prompt has no state to act in: give it at least one character.")
        return tokens

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The next prompt: the old prompt, the sampled completion and the reply's bytes."""
        return prompt + completion + self.encode(as_lines(reply))

    def encode(self, text: str) -> Tokens:
        """The bytes of a text."""
        return tuple(text.encode())

    def decode(self, tokens: Tokens) -> str:
        """The text, without the end token."""
        return bytes(token for token in tokens if token < 256).decode(errors="replace")


class VectorCodec:
    """Observations of `size` numbers as prompts, and one action word as completion.

    A prompt's text is a JSON list of numbers. Ids below the number of actions are actions; the id of a number is its
    float32 bit pattern plus the number of actions, so that a vector is stored and replayed exactly, like any prompt. A
    new observation replaces the old one: `extend` drops the old prompt, and every turn is its own row. An action is one
    token and nothing else ends a completion, so `sampling.max_tokens` is 1.
    """

    end: int | None = None
    stop: frozenset[int] = frozenset()

    def __init__(self, actions: Sequence[str], size: int) -> None:
        if not actions or len(set(actions)) < len(actions):
            raise ValueError(f"the actions are {list(actions)}: at least one is needed, and each of them once.")
        self.actions, self.size = tuple(actions), size

    def start(self, prompt: Prompt) -> Tokens:
        """The ids of the prompt's numbers."""
        text = as_words(prompt)
        numbers = _numbers(text)
        if len(numbers) != self.size or not np.isfinite(numbers).all():
            raise ValueError(
                f"the observation {text[:60]!r} is no list of {self.size} finite numbers, which the policy reads: "
                "write it as JSON, for example [0.1, -2.0]."
            )
        return tuple((numbers.view(np.uint32).astype(np.int64) + len(self.actions)).tolist())

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The ids of the reply only."""
        return self.start(reply)

    def encode(self, text: str) -> Tokens:
        """The id of an action."""
        if text not in self.actions:
            raise ValueError(f"{text!r} is not one of the actions ({_some(self.actions)}).")
        return (self.actions.index(text),)

    def decode(self, tokens: Tokens) -> str:
        """The action's word; of a prompt, its numbers."""
        if any(token < len(self.actions) for token in tokens):
            return " ".join(self.actions[token] for token in tokens)
        bits = np.array(tokens, dtype=np.int64) - len(self.actions)
        return json.dumps(bits.astype(np.uint32).view(np.float32).tolist())


class HFCodec:
    """A Hugging Face tokenizer with its chat template; without a template, prompts are plain text.

    With a template, a prompt that is a string becomes one user message. `stop` holds every end-of-text id of the
    tokenizer and the generation config. What the template writes between a stop token and the next turn (the newline
    after `<|im_end|>`) is part of the next prompt.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[int] = ()) -> None:
        self.tokenizer = tokenizer
        end: Any = tokenizer.eos_token_id
        self.end: int | None = end
        self.stop = frozenset([*stop, *([] if end is None else [end])])
        self.has_template = bool(tokenizer.chat_template)
        self._between = self._text_between_turns() if self.has_template else ""

    def start(self, prompt: Prompt) -> Tokens:
        """The ids of a first prompt, with the template's generation prompt."""
        if self.has_template:
            tokens = self._encode(self._render(messages_of(prompt)))
        else:
            tokens = self._encode(as_lines(prompt), special=True)
        if not tokens:
            raise ValueError("the prompt encodes to no token at all: give it at least one character.")
        return tokens

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        """The next prompt: the old prompt, the sampled completion, and the reply as the template's next turn.

        If the completion was cut, the next prompt adds the end token (never as an action), because a chat model has
        not seen turns without one.
        """
        if not self.has_template:
            return prompt + completion + self._encode(as_lines(reply))
        closing = () if completion and completion[-1] in self.stop else (() if self.end is None else (self.end,))
        return (
            prompt + completion + closing + self._encode(self._between + self._render(messages_of(reply), first=False))
        )

    def encode(self, text: str) -> Tokens:
        """The ids of a completion's text, without special tokens."""
        return self._encode(text)

    def decode(self, tokens: Tokens) -> str:
        """The text with its special tokens, except the stop token that ended it."""
        ended = bool(tokens) and tokens[-1] in self.stop
        return str(self.tokenizer.decode(list(tokens[:-1] if ended else tokens), skip_special_tokens=False))

    def _encode(self, text: str, special: bool = False) -> Tokens:
        try:
            return tuple(self.tokenizer(text, add_special_tokens=special)["input_ids"])
        except Exception as error:  # tokenizers raises a bare Exception, for example for an unknown word
            raise ValueError(f"the tokenizer cannot encode {text[:60]!r}: {error}.") from error

    def _render(self, messages: list[Message], first: bool = True) -> str:
        """The template's text of these messages; for a later turn, without what it writes before the first one."""
        if first:
            return self._apply(messages, generate=True)
        lead: list[Message] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        earlier, whole = self._apply(lead, generate=False), self._apply([*lead, *messages], generate=True)
        if not whole.startswith(earlier):
            raise ValueError(
                "this chat template rewrites earlier turns, so a second turn cannot be appended to what the policy "
                "saw. Use a single-turn environment or a template that only appends."
            )
        return whole[len(earlier) :]

    def _text_between_turns(self) -> str:
        """What the template writes between an assistant's end token and the next turn (ChatML: a newline)."""
        text = self._apply([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], generate=False)
        end = self.tokenizer.eos_token
        return text[text.rindex(end) + len(end) :] if end and end in text else ""

    def _apply(self, messages: list[Message], generate: bool) -> str:
        return rendered(self.tokenizer, messages, generate)


def rendered(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], generate: bool) -> str:
    """What the tokenizer's chat template writes for these messages; with `generate` also what begins the answer."""
    try:
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=generate))
    except Exception as error:  # a template is a program that may raise anything
        roles = ", ".join(message["role"] for message in messages)
        raise ValueError(
            f"the chat template of {tokenizer.name_or_path} cannot write turns of {roles}: {error}."
        ) from error


def codec_of(words: Sequence[str], has_end: bool, tokenizer: Tokenizer | None) -> tuple[WordCodec | HFCodec, int]:
    """The codec of a policy's vocabulary, and its size: `words`, or the tokens of a tokenizer.

    Raises ValueError unless exactly one of them is given.
    """
    if bool(words) == (tokenizer is not None):
        given = "both" if words else "neither"
        raise ValueError(
            f"policy.words and policy.tokenizer: {given} of them is given. A vocabulary is a list of words, or a "
            "strop.Tokenizer, which `strop pretrain` makes from a corpus."
        )
    if tokenizer is None:
        codec = WordCodec(words, has_end)
        return codec, codec.size
    fast = fast_tokenizer(tokenizer)
    return HFCodec(fast), len(fast)


def fast_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer in the form that transformers saves and loads; `<end>` in a text is text, never the token."""
    from tokenizers import Tokenizer as Backend
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Backend.from_str(tokenizer.json),
        bos_token=END_TOKEN,
        eos_token=END_TOKEN,
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )


def as_words(prompt: Prompt) -> str:
    """Plain text of a prompt for words and vectors."""
    return prompt if isinstance(prompt, str) else " ".join(message["content"] for message in prompt)


def as_lines(prompt: Prompt) -> str:
    """Plain text of a prompt for a model without a chat template."""
    if isinstance(prompt, str):
        return prompt
    return "".join(f"{message['role']}: {message['content']}\n" for message in prompt) + "assistant:"


def _numbers(text: str) -> np.ndarray:
    """A JSON list of numbers as float32 [size], infinite where too large; empty if the text is anything else."""
    nothing = np.array((), dtype=np.float32)
    try:
        found = json.loads(text)
        if not isinstance(found, list) or not all(isinstance(number, int | float) for number in found):
            return nothing
        with np.errstate(over="ignore"):
            return np.array(found, dtype=np.float64).astype(np.float32)
    except (ValueError, OverflowError):
        return nothing


def _some(words: Sequence[str], n: int = 8) -> str:
    return ", ".join(words[:n]) + (", ..." if len(words) > n else "")
