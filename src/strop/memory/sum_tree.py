"""A sum tree: sample an item with probability proportional to its number, and change a number, in O(log n)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


class SumTree:
    """Leaves >= 0 in float64. Every inner node is always the float sum of its two children.

    Nodes are never updated by differences, so rounding errors do not accumulate, and a tree rebuilt from its leaves is
    equal bit for bit: a checkpoint stores the leaves only.
    """

    def __init__(self, leaves: Numbers) -> None:
        self.size = len(leaves)
        self._first = 1 << max(self.size - 1, 0).bit_length()  # the leaves stand at [first, first + size)
        self._node = np.zeros(2 * self._first, dtype=np.float64)
        self._node[self._first : self._first + self.size] = leaves
        level = self._first
        while level > 1:
            children = self._node[level : 2 * level]
            self._node[level // 2 : level] = children[0::2] + children[1::2]
            level //= 2

    @property
    def leaves(self) -> Numbers:
        """The numbers, as a copy."""
        return self._node[self._first : self._first + self.size].copy()

    @property
    def total(self) -> float:
        """The root: the sum of all leaves."""
        return float(self._node[1])

    def __getitem__(self, leaf: int) -> float:
        return float(self._node[self._first + leaf])

    def __setitem__(self, leaf: int, number: float) -> None:
        at = self._first + leaf
        self._node[at] = number
        while at > 1:
            at //= 2
            self._node[at] = self._node[2 * at] + self._node[2 * at + 1]

    def find(self, mass: float) -> int:
        """The leaf whose part of [0, total) contains `mass`; never a leaf of 0, unless all are 0."""
        at = 1
        while at < self._first:
            left, right = self._node[2 * at], self._node[2 * at + 1]
            at *= 2
            if mass >= left and right > 0.0:
                mass -= left
                at += 1
        return at - self._first
