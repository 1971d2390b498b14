"""How well a masked encoder fills in documents that it never saw. Nothing is sampled.

A document is cut into pieces of the policy's context. Of each piece 15 % of the tokens are hidden, all of them by the
mask, and always the same ones: they depend on the documents and on the context, not on the run. The loss is the mean of
-log p of the hidden tokens, each given what stands on both sides of it; it is not the perplexity of a text, since the
hidden tokens of one text are told from each other's surroundings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer as Backend

from strop.functional.masking import SHARE
from strop.learners.blanks import Blanks, Fills, bare, fill
from strop.likelihood import ROWS, WINDOW, Likelihood
from strop.streams import stream
from strop.types import Tokens

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or a Chinese or Japanese character."""
SENTENCE = re.compile(r"[^.!?。！？]+[.!?。！？]*")
FEWEST, LONGEST = 4, 200
"""Words of a sentence that is shown, at least, and its letters at most."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The likelihood of each document's hidden tokens, how many of them were filled in right [D], and what stood there
    [N]."""

    likelihood: Likelihood
    right_D: np.ndarray
    stood_N: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of hidden tokens whose likeliest token is the right one."""
        return float(self.right_D.sum() / self.likelihood.tokens_D.sum())


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence with words hidden, the same with what was filled in, and as it is; the tokens read and filled in."""

    hidden: str
    filled: str
    sentence: str
    read: Tokens
    guessed: Tokens


@torch.no_grad()
def filled(policy: Fills, documents: Sequence[np.ndarray], micro_tokens: int) -> Filled:
    """Fill in the documents, each from the token that begins it to the one that ends it."""
    nll_D, right_D, tokens_D = (np.zeros(len(documents)) for _ in range(3))
    stood: list[np.ndarray] = []
    rng = stream(0, "held-out masks")
    pieces = [(owner, piece) for owner, tokens in enumerate(documents) for piece in _pieces(policy, tokens)]
    pieces.sort(key=lambda one: len(one[1][0]))
    for first in range(0, len(pieces), ROWS):
        owners, texts = zip(*pieces[first : first + ROWS], strict=True)
        blanks = Blanks.of([[text] for text in texts], policy.marks).hide(policy.marks, rng, SHARE)
        for micro, rows in blanks.split(micro_tokens):
            logprobs_N, likeliest_N, _ = fill(policy, micro)
            stood_N = micro.token_BT[micro.hidden_BT]
            owner_N = np.array(owners)[rows.numpy()[micro.hidden_BT.nonzero()[:, 0].numpy()]]
            np.subtract.at(nll_D, owner_N, logprobs_N.cpu().double().numpy())
            np.add.at(right_D, owner_N, (likeliest_N.cpu() == stood_N).numpy())
            np.add.at(tokens_D, owner_N, 1)
            stood.append(stood_N.numpy())
    return Filled(Likelihood(nll_D, tokens_D), right_D, np.concatenate(stood))


@torch.no_grad()
def example(policy: Fills, tokenizer: Backend, text: str, number: int) -> Example:
    """A sentence of a text with 15 % of its words hidden, at least one; which ones depends on its number alone.

    The model knows how many tokens a hidden word has.
    """
    sentence, ids, spans = _sentence(policy, tokenizer, text)
    words = list(WORD.finditer(sentence)) or list(re.finditer(r"\S+", sentence))
    chosen = stream(0, "example", number).permutation(len(words))[: max(1, round(SHARE * len(words)))]
    hidden = [words[i] for i in sorted(chosen)]
    owners = [next((w for w, word in enumerate(hidden) if s < word.end() and e > word.start()), -1) for s, e in spans]
    segment = (ids, [float(owner >= 0) for owner in owners])
    blanks = Blanks.of([[segment]], policy.marks).hide(policy.marks, stream(0, "example", number), share=1.0)
    guessed = fill(policy, blanks)[1].tolist()
    owned = [owner for owner in owners if owner >= 0]
    by_word = [[token for token, owner in zip(guessed, owned, strict=True) if owner == w] for w in range(len(hidden))]
    guesses = [tokenizer.decode(tokens, skip_special_tokens=False).strip() or "?" for tokens in by_word]
    told = [
        f"[{guess}]" if guess == word[0] else f"[{guess}, not {word[0]}]"
        for guess, word in zip(guesses, hidden, strict=True)
    ]
    return Example(
        _replaced(sentence, hidden, ["____"] * len(hidden)),
        _replaced(sentence, hidden, told),
        sentence,
        tuple(blanks.read_BT[0].tolist()),
        tuple(guessed),
    )


def _pieces(policy: Fills, document: np.ndarray) -> list[tuple[list[int], list[float]]]:
    """The document's pieces, every token of which may be hidden."""
    tokens, _ = bare(document.tolist(), [], policy.marks)
    window = policy.context or WINDOW
    cut = [list(tokens[first : first + window]) for first in range(0, len(tokens), window)]
    return [(piece, [1.0] * len(piece)) for piece in cut]


def _sentence(policy: Fills, tokenizer: Backend, text: str) -> tuple[str, list[int], list[tuple[int, int]]]:
    """The first sentence of a text with enough words, its tokens and where in it they stand; cut to the context."""
    found = [one.strip() for one in SENTENCE.findall(text)]
    sentence = next((one for one in found if len(WORD.findall(one)) >= FEWEST), text.strip())[:LONGEST]
    encoding = tokenizer.encode(sentence, add_special_tokens=False)
    window = policy.context or WINDOW
    if len(encoding.ids) > window:
        sentence = sentence[: encoding.offsets[window - 1][0]]
        encoding = tokenizer.encode(sentence, add_special_tokens=False)
    return sentence, encoding.ids, encoding.offsets


def _replaced(sentence: str, words: Sequence[re.Match[str]], by: Sequence[str]) -> str:
    """The sentence with these words replaced."""
    parts, end = [], 0
    for word, new in zip(words, by, strict=True):
        parts += [sentence[end : word.start()], new]
        end = word.end()
    return "".join([*parts, sentence[end:]])
