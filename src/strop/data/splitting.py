"""Training and held-out documents. Where a document goes depends on its text alone, so others do not move it."""

from __future__ import annotations

import numpy as np

from strop.data.shingles import mixed

SALT = np.uint64(1)
"""Any number would do. With this one, few documents are split fairly too: of the 62 bundled tales it holds out 8."""


def split(hashes_D: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(training documents in their order, held-out documents in an order that depends on their texts), as indices.

    About `share` of the documents are held out; of two or more, one at least is held out and one is trained on.
    """
    place_D = mixed(hashes_D ^ SALT)
    order = np.argsort(place_D, kind="stable")
    most = int(np.searchsorted(place_D[order], np.uint64(int(share * 2.0**64)), side="left"))
    number = min(max(most, 1), len(order) - 1)
    return np.sort(order[max(number, 0) :]), order[: max(number, 0)]
