"""Random streams that depend only on their key, so that batching, order and resumes do not change results."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """An independent generator for (seed, purpose, *key), for example `stream(seed, "sample", step, index)`."""
    entropy = [seed, zlib.crc32(purpose.encode()), *key]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
