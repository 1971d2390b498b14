"""The parts of a text are all of it, in whole characters, and end before a stop string."""

from __future__ import annotations

from typing import Any

import pytest
import tokenizers
import torch
from tokenizers import decoders, models
from transformers import PreTrainedTokenizerFast

import tiny_tokenizer
from strop.codec import ByteCodec, HFCodec, WordCodec, fast_tokenizer
from strop.serving.growing_text import INCOMPLETE, GrowingText
from strop.types import Codec

MIXED = "a 你好, 世界 \N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4} naïve"


def grown(codec: Codec, tokens: Any, *stop: str) -> tuple[list[str], bool]:
    """The parts, up to the stop string, and whether there was one."""
    text, parts = GrowingText(codec, stop), list[str]()
    for i, token in enumerate(tokens):
        parts.append(text.add(token, is_last=i == len(tokens) - 1))
        if text.has_stopped:
            break
    return parts, text.has_stopped


def spoken(*pieces: str) -> HFCodec:
    """A codec whose words begin with a mark, as SentencePiece's do, and whose other characters are bytes."""
    vocabulary = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, "</s>"]
    made = tokenizers.Tokenizer(models.BPE({one: i for i, one in enumerate(vocabulary)}, [], byte_fallback=True))
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return HFCodec(PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>"))


SPOKEN = spoken("▁", "▁the", "▁cat", "s", ".")
FIRST = 257  # what follows the bytes; a run of them that is no text is another matter
CHARACTERS = [tuple(1 + byte for byte in one.encode()) for one in "é你好\N{THUMBS UP SIGN}!"]
CODECS: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "bytes": (ByteCodec(), [(token,) for token in range(257)]),
    "words": (WordCodec(("red", "blue", "green")), [(token,) for token in range(4)]),
    "byte-level": (HFCodec(fast_tokenizer(tiny_tokenizer.tokenizer())), [(token,) for token in range(256 + 33)]),
    "sentencepiece": (SPOKEN, [*CHARACTERS, *((token,) for token in range(FIRST, len(SPOKEN.tokenizer)))]),
}


@pytest.mark.parametrize("name", CODECS)
def test_all_parts_together_are_what_the_codec_decodes(name: str) -> None:
    codec, parts = CODECS[name]
    dice = torch.Generator().manual_seed(0)
    for length in (1, 2, 3, 40):
        for _ in range(10):
            chosen = torch.randint(len(parts), (length,), generator=dice).tolist()
            tokens = [token for part in chosen for token in parts[part]]
            tokens = [token for token in tokens[:-1] if token not in codec.stop] + tokens[-1:]  # a stop token is last
            assert "".join(grown(codec, tokens)[0]) == codec.decode(tuple(tokens))


def test_a_character_is_never_cut() -> None:
    codec = ByteCodec()
    parts, _ = grown(codec, codec.encode(MIXED))
    assert "".join(parts) == MIXED
    assert [part for part in parts if part] == list(MIXED)  # one character each, when its last byte is there
    assert not any(INCOMPLETE in part for part in parts)
    cut, _ = grown(codec, codec.encode("你好")[:-1])
    assert cut == ["", "", "你", "", INCOMPLETE]  # nothing comes any more: the same as the codec says


def test_spaces_are_those_between_words() -> None:
    assert grown(WordCodec(("red", "blue")), [0, 1, 0, 2])[0] == ["red", " blue", " red", ""]
    the, cat, s = (SPOKEN.tokenizer.convert_tokens_to_ids(one) for one in ("▁the", "▁cat", "s"))
    assert grown(SPOKEN, [the, cat, s, the])[0] == ["the", " cat", "s", " the"]


@pytest.mark.parametrize(
    ("text", "stop", "said", "stops"),
    [
        ("one\n\ntwo", ("\n\n",), "one", True),  # over two tokens
        ("one\ntwo", ("\n\n",), "one\ntwo", False),  # held, then said
        ("one\n", ("\n\n",), "one\n", False),  # held to the end, then said
        ("aaab", ("aab",), "a", True),  # its beginning stands in itself
        ("ababac", ("abac",), "ab", True),
        ("a STOP b END", ("END", "STOP"), "a ", True),  # the first in the text
        ("xyz", ("z", "yz"), "x", True),
        ("好的。再见", ("。",), "好的", True),
        ("stop", ("stop",), "", True),
    ],
)
def test_a_stop_string_ends_the_text_before_it(text: str, stop: tuple[str, ...], said: str, stops: bool) -> None:
    codec = ByteCodec()
    parts, has_stopped = grown(codec, codec.encode(text), *stop)
    assert ("".join(parts), has_stopped) == (said, stops)


def test_only_what_may_begin_a_stop_string_is_held() -> None:
    codec = ByteCodec()
    assert grown(codec, codec.encode("a-b--c"), "--!")[0] == ["a", "", "-b", "", "", "--c"]


def test_a_stop_string_within_one_token_ends_it_there() -> None:
    codec = WordCodec(("a.b", "c"))
    assert grown(codec, [1, 0, 1], ".") == (["c", " a"], True)
