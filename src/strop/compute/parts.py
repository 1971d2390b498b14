"""Rows that cannot share one pass, such as those of an encoder-decoder that have written unequal numbers of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Parts:
    """Several states that are continued one after another, and look like one.

    states   the parts, each of which has `step` and `keep`
    place_B  each row's part, and its row there; within a part rows stand in their order
    """

    states: tuple[Any, ...]
    place_B: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, states: Sequence[Any]) -> Parts:
        """The rows of all these states, in their order; what is in parts already is taken apart."""
        found, place_B = list[Any](), list[tuple[int, int]]()
        for state in states:
            parts = state if isinstance(state, Parts) else cls((state,), tuple((0, row) for row in range(len(state))))
            place_B += [(len(found) + part, row) for part, row in parts.place_B]
            found += parts.states
        return cls(tuple(found), tuple(place_B))

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.place_B)

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token for each row."""
        index = [torch.tensor(rows, device=tokens_B.device) for rows in self._rows()]
        parts: list[Tensor] = [state.step(tokens_B[rows]) for state, rows in zip(self.states, index, strict=True)]
        order_B = torch.cat(index).argsort()
        return torch.cat(parts)[order_B.to(parts[0].device)]

    def keep(self, rows: Sequence[int]) -> Parts:
        """These rows, in this order; a row may be named several times. A part without a row leaves."""
        places = [self.place_B[row] for row in rows]
        kept, place_B = list[Any](), [(0, 0)] * len(places)
        for part, state in enumerate(self.states):
            mine = [i for i, place in enumerate(places) if place[0] == part]
            for row, i in enumerate(mine):
                place_B[i] = (len(kept), row)
            if mine:
                kept.append(state.keep([places[i][1] for i in mine]))
        return Parts(tuple(kept), tuple(place_B))

    def _rows(self) -> list[list[int]]:
        """The rows of each part, in the part's order."""
        return [
            [i for _, i in sorted((row, i) for i, (at, row) in enumerate(self.place_B) if at == part)]
            for part in range(len(self.states))
        ]
