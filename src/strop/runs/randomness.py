"""The global random states: Python's, numpy's legacy one, torch's, and the GPU's where one is in use."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from strop.process import ALONE
from strop.types import State


def capture() -> State:
    """Every global random state, in a form that a checkpoint can hold."""
    with ALONE:
        name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
        return {
            "python": random.getstate(),
            "numpy": (str(name), np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if _uses_gpu() else [],
        }


def restore(state: State) -> None:
    """Restore the states from `capture`; those of GPUs only if a GPU is in use, and only of those that are there."""
    with ALONE:
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])
        if state["cuda"] and _uses_gpu():
            torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])


def seed_all(seed: int) -> None:
    """strop draws from its own streams; this is for a user's reward or environment that draws from the global ones."""
    with ALONE:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore every global random state on exit: an evaluation must not change the training after it."""
    before = capture()
    try:
        yield
    finally:
        restore(before)


def _uses_gpu() -> bool:
    """Whether this process has used a GPU; asking an unused one for its state would initialise it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
