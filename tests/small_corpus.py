"""A corpus of a few kilobytes: documents of three sentences from a small grammar."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import strop

WHO = ("the king", "a fox", "the old woman", "her son", "a bird", "the miller")
DOES = ("went into", "came out of", "looked at", "ran from", "sang about", "slept in")
WHERE = ("the wood", "a house", "the river", "the mill", "a garden", "the tower")


def text(documents: int = 60, seed: int = 0) -> str:
    """Documents with a blank line between them."""
    rng = np.random.default_rng(seed)
    return "\n\n".join(" ".join(sentence(rng) for _ in range(3)) for _ in range(documents))


def sentence(rng: np.random.Generator) -> str:
    who, does, where = (str(rng.choice(words)) for words in (WHO, DOES, WHERE))
    return f"{who} {does} {where}.".capitalize()


def corpus(folder: Path, documents: int = 60, **options: object) -> strop.Corpus:
    """The corpus in a file, read by characters."""
    file = folder / "corpus.txt"
    file.write_text(text(documents), encoding="utf-8")
    return strop.Corpus(**{"source": str(file), "tokenizer": "character", "vocabulary": 320, **options})


def tiny(kind: str = "gru") -> strop.policies.Recurrent.Config:
    """The smallest recurrent model."""
    return strop.policies.Recurrent.Config(kind=kind, width=16, num_layers=1)
