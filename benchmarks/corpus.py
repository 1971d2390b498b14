"""Time and memory of preparing a large text: read, cleaned, compared, tokenised, written.

    python benchmarks/corpus.py [MEGABYTES] [--lines] [--near 0.8] [--tokenizer byte-bpe]

The text is made up: words of a Zipf distribution over 200,000, in documents of 500 words (with --lines: of 18, one a
line). Every fiftieth document is one that stood before, and every fiftieth one that stood before with some words
changed, so that a run of cleaning has something to find. It is written to a temporary folder, which is deleted.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import strop
from strop.data.prepared import prepare

VOCABULARY = 200_000
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
EVERY = 50
"""Of so many documents one is an exact copy, and one a near copy."""
REMEMBERED = 1000
"""Documents among which the copied ones are chosen."""


def documents(megabytes: float, num_words: int, seed: int = 0) -> Iterator[str]:
    """Made-up documents of about so many bytes together."""
    rng = np.random.default_rng(seed)
    words = np.array(["".join(rng.choice(LETTERS, rng.integers(2, 10))) for _ in range(VOCABULARY)], object)
    shares = 1.0 / np.arange(1, VOCABULARY + 1)
    limits = np.cumsum(shares / shares.sum())
    before: list[list[str]] = []
    written = number = 0
    while written < megabytes * 1e6:
        drawn = words[np.searchsorted(limits, rng.random(num_words)).clip(max=VOCABULARY - 1)].tolist()
        if before and number % EVERY < 2:
            drawn = list(before[rng.integers(len(before))])
            for place in rng.choice(num_words, num_words // 60 if number % EVERY else 0, replace=False):
                drawn[place] = "changed"
        elif len(before) < REMEMBERED:
            before.append(drawn)
        text = " ".join(drawn)
        yield text
        written += len(text) + 1
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", nargs="?", type=float, default=100.0)
    parser.add_argument("--lines", action="store_true", help="short documents, one a line")
    parser.add_argument("--near", type=float, default=0.8)
    parser.add_argument("--tokenizer", default="byte-bpe")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "text.txt")
        with file.open("w", encoding="utf-8") as out:
            for text in documents(given.megabytes, 18 if given.lines else 500):
                out.write(text + ("\n" if given.lines else "\n\n"))
        corpus = strop.Corpus(source=str(file), near=given.near, tokenizer=given.tokenizer)
        before, begun, working = _peak_mb(), time.monotonic(), time.process_time()
        found = prepare(corpus, Path(folder, "cache"), lambda line: print(f"{time.monotonic() - begun:6.0f} s  {line}"))
        minutes, busy = (time.monotonic() - begun) / 60, (time.process_time() - working) / 60
        print(found.facts)
        print(f"{file.stat().st_size / 1e6:,.0f} MB in {minutes:.1f} minutes, {busy:.1f} of them of a processor")
        print(f"peak memory {_peak_mb():,.0f} MB, {before:,.0f} MB of it before it began")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
