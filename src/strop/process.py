"""What belongs to the whole process, so that one thread at a time may use it.

These are the global random generators, the settings and functions that torch and transformers replace while they make a
model, the module name `recipe`, and Python's parser of syntax trees (in CPython 3.11, two at once fail). All else
belongs to a run, which draws from streams of its own (`strop.streams`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

RECIPE = "recipe"
"""The module name under which a recipe file is loaded."""
ALONE = threading.RLock()
"""Held by the thread that uses it: for seconds at most, and never while a policy trains or samples."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this context torch's global generator starts from the seed, as the first weights of a model need it.
    Afterwards it goes on as if nothing had been drawn."""
    import torch  # late: names of models are looked up without it

    with ALONE, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
