"""A dictionary learnt from pairs alone, and word-for-word translation by it: what any translator should beat.

IBM Model 1 (Brown et al. 1993, "The mathematics of statistical machine translation", section 4.3): every target word
comes from one source word, or from none (NULL), each equally likely. EM counts how often:

    count(f, e) = sum over pairs, over each f in the target, of  t(f | e) / sum over e' in the source of t(f | e')
    t(f | e)    = count(f, e) / sum over f' of count(f', e)

It begins with t equal for all f. The likelihood rises with every round, to the one maximum that there is.
Differs from the paper: the length of the target is not modelled, as nothing here asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strop.data.pairs import Pair
from strop.data.placeholders import PLACEHOLDER
from strop.data.shingles import CHINESE_AND_KANA, WITHOUT_SPACES
from strop.data.vocabulary import backend_of
from strop.types import Tokenizer

NULL = ""
"""The source word of target words that no other explains."""
ROUNDS = 10
CLOSING = ".,;:!?)"
_UNSPACED = "".join(f"{chr(low)}-{chr(high)}" for low, high in CHINESE_AND_KANA + WITHOUT_SPACES)
_PIECE = re.compile(
    rf"(?P<placeholder>{PLACEHOLDER.pattern})|(?P<run>[{_UNSPACED}]+)|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*|[^\w\s]"
)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The likeliest translation of each source word; empty for one that is left out.

    units  divides a text into words
    """

    best: Mapping[str, str]
    units: Callable[[str], Sequence[str]]

    def translated(self, text: str) -> str:
        """The words of a text one by one, in their order. A word that is not in the dictionary stays as it is."""
        words = [self.best.get(unit.lower(), unit) for unit in self.units(text)]
        return joined([word for word in words if word])


def learnt(pairs: Sequence[Pair], tokenizer: Tokenizer, rounds: int = ROUNDS) -> Dictionary:
    """A dictionary from these pairs.

    A word is what stands between spaces and signs; where a script writes no spaces, a token of `tokenizer`. A source
    word is left out if NULL explains its best translation better: "the" into Chinese.
    """
    units = units_of(tokenizer)
    sides = [([word.lower() for word in units(pair.source)], units(pair.target)) for pair in pairs]
    table = model_1(sides, rounds)
    null = table[NULL]
    best = {}
    for word, row in table.items():
        target = max(row, key=lambda one: (row[one], one))
        best[word] = target if row[target] >= null.get(target, 0.0) else ""
    del best[NULL]
    return Dictionary(best, units)


def model_1(pairs: Sequence[tuple[Sequence[str], Sequence[str]]], rounds: int) -> dict[str, dict[str, float]]:
    """t(f | e) as {e: {f: probability}} after so many rounds of EM, with NULL as the first word of every source."""
    sources = {
        word: i for i, word in enumerate(dict.fromkeys([NULL, *(word for source, _ in pairs for word in source)]))
    }
    targets = {word: i for i, word in enumerate(dict.fromkeys(word for _, target in pairs for word in target))}
    cells, group, num_groups = [], [], 0
    for source, target in pairs:
        e_S = np.array([sources[word] for word in (NULL, *source)])
        f_T = np.array([targets[word] for word in target], dtype=np.int64)
        cells.append((e_S[None] * len(targets) + f_T[:, None]).ravel())
        group.append(np.repeat(np.arange(len(f_T)) + num_groups, len(e_S)))
        num_groups += len(f_T)
    keys, cell = np.unique(np.concatenate(cells), return_inverse=True)
    group_C = np.concatenate(group)
    e_K, f_K = keys // len(targets), keys % len(targets)
    t_K = np.ones(len(keys))
    for _ in range(rounds):
        t_C = t_K[cell]
        count_K = np.bincount(cell, t_C / np.bincount(group_C, t_C)[group_C])
        t_K = count_K / np.bincount(e_K, count_K)[e_K]
    source_words, target_words = list(sources), list(targets)
    table: dict[str, dict[str, float]] = {}
    for e, f, t in zip(e_K.tolist(), f_K.tolist(), t_K.tolist(), strict=True):
        table.setdefault(source_words[e], {})[target_words[f]] = t
    return table


def units_of(tokenizer: Tokenizer) -> Callable[[str], list[str]]:
    """The function that divides a text into words, signs and placeholders."""
    backend = backend_of(tokenizer)

    def tokens(run: str) -> Iterator[str]:
        spans = dict.fromkeys(backend.encode(run, add_special_tokens=False).offsets)  # a rare character has several
        return (run[start:end] for start, end in spans)

    def units(text: str) -> list[str]:
        return [unit for one in _PIECE.finditer(text) for unit in (tokens(one[0]) if one["run"] else [one[0]])]

    return units


def joined(units: Sequence[str]) -> str:
    """The words as a text: in a script that writes spaces, there is one between two words and after a closing sign."""
    text = ""
    for unit in units:
        is_open = bool(text) and (_is_spaced(text[-1]) or text[-1] in CLOSING)
        text += f" {unit}" if is_open and _is_spaced(unit[0]) else unit
    return text


def _is_spaced(letter: str) -> bool:
    """Whether it is a letter or digit of a script that writes spaces."""
    return letter.isalnum() and not re.match(f"[{_UNSPACED}]", letter)
