"""Tokenizers that are trained on a corpus. Every kind is lossless: the ids of a text spell its bytes.

A text is split into pieces (words with the space before them, numbers, signs, spaces), and each piece is written in an
alphabet of 256 letters, one for each byte. All kinds hold these letters, so no text is without ids.

    byte       the bytes alone
    character  the frequent characters; others are spelt in bytes
    bpe        characters, and pairs of tokens that were merged by frequency (Sennrich et al. 2016, 1508.07909)
    byte-bpe   the same from bytes (Radford et al. 2019), so a token may end inside a character
    wordpiece  longest match from the left; what continues a word is another token than what begins one (Wu et al. 2016,
               1609.08144). Differs from the paper: pairs are merged by frequency, as the `tokenizers` library does
    word       the frequent words; others are spelt. A Chinese or Japanese character is a word

The one special token is `<end>`, with id 0, which begins and ends a document. `<end>` in a text stays text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from strop.data.corpus import Kind
from strop.types import END_TOKEN, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

Merges: TypeAlias = list[tuple[str, str]]
Texts: TypeAlias = Callable[[], Iterable[str]]
"""Gives the texts again each time."""

HAN = r"\p{Han}\p{Hiragana}\p{Katakana}"
REST = r"| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]{1,16}|\n{1,16}|[^\S\n]{1,16}(?!\S)|\s"
PIECES = r" ?[\p{L}\p{M}]{1,32}" + REST
"""A word with the space before it, up to three digits, signs, or spaces."""
WORDS = rf" ?[{HAN}]| ?[\p{{L}}\p{{M}}&&[^{HAN}]]{{1,32}}" + REST
CONTINUES = "＃＃"
"""Before a token of wordpiece that continues a word: letters outside the alphabet of bytes."""
MOST_LETTERS = 4096
"""The longest piece that wordpiece divides, in letters: more than any piece has."""
BYTES = 257
"""The tokens that every kind has: `<end>` and the letters."""
TWICE = 2
"""What occurs once in a corpus is no token of its own."""
COVERED = 0.9995
"""The share of a text's characters that are tokens of bpe."""


def _letters() -> list[str]:
    """The letter of each byte, as byte-level tokenizers write it: printable bytes stand for themselves."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


LETTERS = _letters()


def trained(kind: Kind, vocabulary: int, texts: Texts) -> Tokenizer:
    """A tokenizer of at most `vocabulary` tokens from these texts. The same texts give the same tokenizer."""
    tokens: list[str] = []
    merges: Merges = []
    match kind:
        case "byte-bpe":
            tokens, merges = _byte_pairs(vocabulary, texts)
        case "character":
            tokens, merges = _built(_characters(texts, 1.0), vocabulary - BYTES)
        case "bpe":
            tokens, merges = _character_pairs(vocabulary, texts)
        case "word":
            tokens, merges = _words(vocabulary, texts)
        case "wordpiece":
            return _finished(_word_pieces(vocabulary, texts), PIECES)
    tokens = [END_TOKEN, *LETTERS, *tokens]
    model = _pair_model({token: i for i, token in enumerate(tokens)}, merges, whole=kind == "word")
    return _finished(model, WORDS if kind == "word" else PIECES)


def spelt(text: str) -> str:
    """The text in the alphabet of bytes."""
    return "".join(LETTERS[byte] for byte in text.encode())


def backend_of(tokenizer: Tokenizer) -> Backend:
    """The tokenizer of the `tokenizers` library, for which `<end>` in a text is text."""
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_str(tokenizer.json)
    backend.encode_special_tokens = True
    return backend


def size_of(tokenizer: Tokenizer) -> int:
    """The number of its tokens."""
    return int(backend_of(tokenizer).get_vocab_size())


def splits_before_spaces(tokenizer: Tokenizer) -> bool:
    """Whether a single space that stands between two words always begins a piece, as with all kinds here."""
    written = json.loads(tokenizer.json)
    ours = [json.loads(_finished(_pair_model({END_TOKEN: 0}, [], False), pieces).json) for pieces in (PIECES, WORDS)]
    return any(written["pre_tokenizer"] == one["pre_tokenizer"] for one in ours) and written["normalizer"] is None


def _byte_pairs(vocabulary: int, texts: Texts) -> tuple[list[str], Merges]:
    """The merged tokens and their merges, learnt on bytes."""
    from tokenizers import models, trainers

    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 1, min_frequency=TWICE, initial_alphabet=LETTERS, show_progress=False
    )
    model = _learnt(models.BPE(), trainer, texts, PIECES, in_bytes=True)
    merges = [(first, second) for first, second in model["merges"]]
    return list(dict.fromkeys(first + second for first, second in merges)), merges


def _character_pairs(vocabulary: int, texts: Texts) -> tuple[list[str], Merges]:
    """The same, learnt on the frequent characters, which are built from their bytes first."""
    from tokenizers import models, trainers

    characters = _characters(texts, COVERED)
    built, building = _built(characters, vocabulary - BYTES)
    known = [letter for letter in characters if letter.isascii() or spelt(letter) in set(built)]
    trainer = trainers.BpeTrainer(
        vocab_size=len(known) + vocabulary - BYTES - len(built),
        min_frequency=TWICE,
        initial_alphabet=known,
        limit_alphabet=len(known),
        show_progress=False,
    )
    model = _learnt(models.BPE(), trainer, texts, PIECES, in_bytes=False)
    merges = [(spelt(first), spelt(second)) for first, second in model["merges"]]
    return list(dict.fromkeys([*built, *(first + second for first, second in merges)])), building + merges


def _words(vocabulary: int, texts: Texts) -> tuple[list[str], Merges]:
    """The frequent words, and the frequent characters, in which others are spelt: these are a quarter at most."""
    from tokenizers import models, trainers

    built, building = _built(_characters(texts, COVERED), (vocabulary - BYTES) // 4)
    trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, min_frequency=TWICE, show_progress=False)
    learnt = _learnt(models.WordLevel({}, unk_token=END_TOKEN), trainer, texts, WORDS, in_bytes=True)["vocab"]
    words = (word for word in sorted(learnt, key=learnt.__getitem__) if word not in {*LETTERS, *built})
    return [*built, *islice(words, vocabulary - BYTES - len(built))], building


def _word_pieces(vocabulary: int, texts: Texts) -> dict[str, Any]:
    """The model of wordpiece. The letters are given as special tokens, so that their order is fixed."""
    from tokenizers import models, trainers

    letters = [END_TOKEN, *LETTERS, *(CONTINUES + letter for letter in LETTERS)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        min_frequency=TWICE,
        special_tokens=letters,
        continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )
    model = _learnt(models.WordPiece({}, unk_token=END_TOKEN), trainer, texts, PIECES, in_bytes=True)
    return model | {"continuing_subword_prefix": CONTINUES, "max_input_chars_per_word": MOST_LETTERS}


def _characters(texts: Texts, share: float) -> list[str]:
    """The most frequent characters that make up this share of the texts, each of which occurs twice."""
    counts: Counter[str] = Counter()
    for text in texts():
        counts.update(text)
    found, left = [], (1.0 - share) * counts.total()
    for letter, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count >= TWICE:
            found.append(letter)
    while found and counts[found[-1]] <= left:
        left -= counts[found.pop()]
    return found


def _built(characters: Iterable[str], most: int) -> tuple[list[str], Merges]:
    """Tokens and merges that build characters from their bytes, one byte after another; at most so many tokens.

    A character of three bytes needs the token of its first two, which it shares with its neighbours.
    """
    tokens: dict[str, None] = {}
    merges: Merges = []
    for letter in characters:
        word = spelt(letter)
        needed = [end for end in range(2, len(word) + 1) if word[:end] not in tokens]
        if len(tokens) + len(needed) <= most:
            tokens |= {word[:end]: None for end in needed}
            merges += [(word[: end - 1], word[end - 1]) for end in needed]
    return list(tokens), merges


def _learnt(model: Any, trainer: Any, texts: Texts, pieces: str, in_bytes: bool) -> dict[str, Any]:
    """What a trainer of the library makes of the texts: the model, as its tokenizer.json describes it."""
    from tokenizers import Tokenizer as Backend

    backend = Backend(model)
    backend.pre_tokenizer = _splitter(pieces, in_bytes)
    backend.train_from_iterator(texts(), trainer)
    found: dict[str, Any] = json.loads(backend.to_str())["model"]
    return found


def _splitter(pieces: str, in_bytes: bool) -> Any:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    split = Split(Regex(pieces), "isolated")
    return Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)]) if in_bytes else split


def _pair_model(vocabulary: dict[str, int], merges: Merges, whole: bool) -> dict[str, Any]:
    """The model of the library that merges pairs; with `whole`, a piece that is a token is not divided."""
    settings = {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False}
    affixes = {"continuing_subword_prefix": None, "end_of_word_suffix": None}
    return settings | affixes | {"ignore_merges": whole, "vocab": vocabulary, "merges": [list(pair) for pair in merges]}


def _finished(model: dict[str, Any], pieces: str) -> Tokenizer:
    """The model with what stands before and after it."""
    from tokenizers import AddedToken, decoders, models, processors
    from tokenizers import Tokenizer as Backend

    backend = Backend(models.BPE())
    backend.pre_tokenizer = _splitter(pieces, in_bytes=True)
    backend.decoder = decoders.Sequence([decoders.Replace(CONTINUES, ""), decoders.ByteLevel()])
    text = json.dumps(json.loads(backend.to_str()) | {"model": model}, ensure_ascii=False)
    backend = Backend.from_str(text)
    backend.add_special_tokens([AddedToken(END_TOKEN, special=True, normalized=False)])
    backend.post_processor = processors.TemplateProcessing(single=f"{END_TOKEN} $A", special_tokens=[(END_TOKEN, 0)])
    return Tokenizer(backend.to_str(pretty=False))
