"""Six kinds of tokenizers: all of them give every text back."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from functools import cache

import pytest

from strop.codec import codec_of
from strop.data import token_file
from strop.data.corpus import KINDS
from strop.data.token_file import Encoder
from strop.data.vocabulary import CONTINUES, LETTERS, WORDS, backend_of, size_of, spelt, splits_before_spaces, trained
from strop.types import END_TOKEN, Tokenizer

SOUNDS = ("ba", "ri", "ton", "é", "shu", "lo")
TEXTS = tuple(
    " ".join("".join(rng.choice(SOUNDS) for _ in range(rng.randint(1, 4))) for _ in range(60))
    + ". 春眠不覺曉，處處聞啼鳥。\n"
    for rng in map(random.Random, range(40))
)
STRANGE = (
    "never 龘龘 seen 🦥 in training: ﷽ ქართული",
    "👩‍👩‍👧 👍🏽 🇨🇳",
    "שלום עולם مرحبا بالعالم \u202babc",
    "mixed世界words हिन्दी नमस्ते ไทย 한국어 кириллица",
    "  two  spaces\n\n\n and\t\ttabs \u3000 wide \n ",
    "1234567 3.14 don't <end> <end>x ＃＃x <0x41> Ġ ▁ \ufffd",
    "e\u0301 is not é",
    "q" * 300 + "世" * 300 + "!" * 100 + "\n" * 50 + " " * 70,
    "\x00\x07\x7f\u2028",
    "",
    " ",
    "\n",
)


@cache
def tokenizer(kind: str, vocabulary: int = 600) -> Tokenizer:
    return trained(kind, vocabulary, lambda: TEXTS)  # type: ignore[arg-type]


def ids_of(made: Tokenizer, text: str) -> list[int]:
    ids: list[int] = backend_of(made).encode(text, add_special_tokens=False).ids
    return ids


def tokens_of(made: Tokenizer, text: str) -> list[str]:
    tokens: list[str] = backend_of(made).encode(text, add_special_tokens=False).tokens
    return tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [TEXTS[0], *STRANGE])
def test_a_text_comes_back_whole(kind, text):
    ids = ids_of(tokenizer(kind), text)
    assert backend_of(tokenizer(kind)).decode(ids, skip_special_tokens=False) == text
    assert 0 not in ids


@pytest.mark.parametrize("kind", KINDS)
def test_any_characters_in_any_order_come_back(kind):
    rng = random.Random(0)
    ranges = [(0, 0x80), (0x80, 0x900), (0x900, 0x3000), (0x3000, 0xD800), (0xE000, 0x110000)]
    backend = backend_of(tokenizer(kind))
    for _ in range(100):
        text = "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(30))
        assert backend.decode(backend.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) == text


@pytest.mark.matrix
@pytest.mark.parametrize("kind", KINDS)
def test_words_encoded_one_by_one_have_the_ids_of_the_whole_text(kind, monkeypatch):
    monkeypatch.setattr(token_file, "REMEMBERED", 100)
    rng = random.Random(1)
    spaces = (" ", "  ", "\n", " \n", "\n ", "\t", " \t ", "\u3000", " \u3000", "\u00a0", "\u2028 ")
    words = ("ton", "shulo", "世界", "12345", "...", "é", "\u0301", "👩‍👩", "<end>", "don't", "")
    texts = ["".join(rng.choice(spaces) + rng.choice(words) for _ in range(30)) for _ in range(50)]
    assert splits_before_spaces(tokenizer(kind))
    encoded = Encoder(tokenizer(kind))
    for _ in range(2):
        for text in [*STRANGE, *texts]:
            assert encoded([text, "ton"]) == [ids_of(tokenizer(kind), text), ids_of(tokenizer(kind), "ton")]


def test_a_tokenizer_of_another_kind_encodes_whole_texts():
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers

    backend = Backend(models.BPE({END_TOKEN: 0, "a": 1, " ": 2, "a a": 3, "a ": 4}, [("a", " "), ("a ", "a")]))
    whole = Tokenizer(backend.to_str())
    assert not splits_before_spaces(whole)
    assert Encoder(whole)(["a a a"]) == [[4, 3]]  # "a " is merged first, at both places
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    assert not splits_before_spaces(Tokenizer(backend.to_str()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_codec_of_a_policy_reads_it_alike(kind):
    codec, size = codec_of((), True, tokenizer(kind))
    assert size == size_of(tokenizer(kind)) <= 600
    assert codec.end == 0
    for text in STRANGE[:8]:
        assert list(codec.encode(text)) == ids_of(tokenizer(kind), text)
        assert codec.decode(codec.encode(text)) == text
    assert codec.start("ba") == (0, *codec.encode("ba"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_spells_bytes_and_all_bytes_have_one(kind):
    vocabulary = backend_of(tokenizer(kind)).get_vocab()
    assert vocabulary[END_TOKEN] == 0
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert set(LETTERS) <= set(vocabulary)
    for token in vocabulary:
        assert token == END_TOKEN or set(token.removeprefix(CONTINUES)) <= set(LETTERS)
    if kind == "wordpiece":
        assert {CONTINUES + letter for letter in LETTERS} <= set(vocabulary)


def test_letters_are_those_of_byte_level_tokenizers():
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(LETTERS) == sorted(ByteLevel.alphabet())
    for text in STRANGE:
        pieces = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
        assert spelt(text) == "".join(piece for piece, _ in pieces)


def test_what_a_token_is():
    text = "ton shulo 春眠龘"
    assert tokens_of(tokenizer("byte"), "é 春") == list(spelt("é 春"))
    assert tokens_of(tokenizer("character"), text) == [spelt(c) for c in text[:-1]] + list(spelt("龘"))
    assert tokens_of(tokenizer("word"), text)[-5:] == [spelt(" 春"), spelt("眠"), *spelt("龘")]
    assert tokens_of(tokenizer("word"), "shulo ton")[-1] == "Ġton"
    assert "".join(tokens_of(tokenizer("word"), "xyzé")) == spelt("xyzé")
    assert tokens_of(tokenizer("word"), "xyzé")[-1] == spelt("é")
    for kind in ("bpe", "byte-bpe", "wordpiece"):
        assert len(tokens_of(tokenizer(kind), TEXTS[0])) < 0.6 * len(TEXTS[0])
    begun = tokens_of(tokenizer("wordpiece"), ". tontontontontonton")
    assert begun[0] == "."
    assert begun[1].startswith("Ġton")
    assert len(begun) > 2
    assert all(token.startswith(CONTINUES) for token in begun[2:])


def test_bpe_never_divides_a_character_that_it_knows():
    known = {spelt(letter) for text in TEXTS for letter in text}
    for text in TEXTS[:5]:
        for token in tokens_of(tokenizer("bpe"), text):
            bytes([LETTERS.index(letter) for letter in token]).decode()  # a token of whole characters
    assert known <= set(backend_of(tokenizer("bpe")).get_vocab())


def test_merges_follow_the_counts():
    """Of `low low lower`: "l o" and "o w" stand in it 3 times each, of which the first in the order of the alphabet is
    merged; then "lo w", 3 times; then "Ġ low", twice. Nothing else occurs twice."""
    for kind in ("byte-bpe", "bpe"):
        made = trained(kind, 300, lambda: ["low low lower"])
        merges = json.loads(made.json)["model"]["merges"]
        assert merges == [["l", "o"], ["lo", "w"], ["Ġ", "low"]]
        assert size_of(made) == 257 + 3


def test_words_are_those_that_occur_most_and_at_least_twice():
    made = trained("word", 261, lambda: ["the cat the dog a cat the", "emu emu yak"])
    words = sorted(backend_of(made).get_vocab().items(), key=lambda item: item[1])[257:]
    assert [word for word, _ in words] == ["Ġcat", "Ġthe"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_is_as_large_as_asked_for_or_what_the_text_gives(kind):
    assert size_of(tokenizer(kind, 520)) <= 520
    if kind in ("byte-bpe", "wordpiece"):
        assert size_of(tokenizer(kind, 520)) == 520


def test_pieces_of_words_are_words_numbers_signs_and_spaces():
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    pieces = Split(Regex(WORDS), "isolated").pre_tokenize_str("Don't  stop: 2024 世界.\n\n\tहिन्दी")
    assert [piece for piece, _ in pieces] == [
        "Don", "'", "t", " ", " stop", ":", " 202", "4", " 世", "界", ".", "\n\n", "\t", "हिन्दी",
    ]  # fmt: skip


PROGRAM = """
import hashlib, random
from strop.data.corpus import KINDS
from strop.data.vocabulary import trained
words = ["".join(random.Random(i).choices("abcdefghij é世", k=5)) for i in range(300)]
texts = [" ".join(random.Random(i).choices(words, k=50)) for i in range(60)]
print([hashlib.sha256(trained(kind, 900, lambda: texts).json.encode()).hexdigest() for kind in KINDS])
"""


def test_another_process_with_other_threads_makes_the_same_tokenizers():
    printed = set()
    for threads in ("1", "3"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        printed.add(done.stdout)
    assert len(printed) == 1
