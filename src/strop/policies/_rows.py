"""A row of trained numbers for each context that learning has touched."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.types import State


class Rows:
    """`delta` [capacity + 1, V], and `value` [capacity + 1] or None, in float64; all of it starts at 0.

    A context gets its own row when it is first read for a gradient. When all rows are taken, all other contexts share
    one more, the last. It is 0 until then, so that a context without a row reads what its own row will start with:
    acting, which takes no rows, always reads what training reads, also across the moment in which the last is taken.
    """

    def __init__(self, capacity: int, vocabulary: int, has_values: bool) -> None:
        self.capacity = capacity
        self.delta = Parameter(torch.zeros(capacity + 1, vocabulary, dtype=torch.float64))
        self.value = Parameter(torch.zeros(capacity + 1, dtype=torch.float64)) if has_values else None
        self._row: dict[int, int] = {}

    def of(self, contexts: Sequence[int]) -> Tensor:
        """The row [N] of each context. If gradients are wanted, new contexts get theirs now.

        Else none do: a judgement, which a resumed run does not repeat, must leave no trace.
        """
        if torch.is_grad_enabled() and self.delta.requires_grad:
            new = [one for one in dict.fromkeys(contexts) if one not in self._row]
            for context in new[: self.capacity - len(self._row)]:
                self._row[context] = len(self._row)
        if not self._row:
            return torch.full((len(contexts),), self.capacity)
        return torch.tensor([self._row.get(one, self.capacity) for one in contexts], dtype=torch.long)

    def is_trained(self, rows_N: Tensor) -> Tensor:
        """bool [N]: which of these rows may differ from 0."""
        is_full = len(self._row) == self.capacity
        return (rows_N < self.capacity) | is_full

    def named(self) -> dict[str, Parameter]:
        """The parameters."""
        return {"delta": self.delta} if self.value is None else {"delta": self.delta, "value": self.value}

    def twin(self) -> Rows:
        """A copy with parameters of its own. The index is shared, so that row k is the same context in both."""
        twin = Rows(self.capacity, self.delta.shape[1], self.value is not None)
        twin._row = self._row
        with torch.no_grad():
            for own, other in zip(twin.named().values(), self.named().values(), strict=True):
                own.copy_(other)
        return twin

    def frozen(self) -> Rows:
        """A copy that neither trains nor sees later rows."""
        copy = self.twin()
        copy._row = dict(self._row)
        for parameter in copy.named().values():
            parameter.requires_grad_(False)
        return copy

    def state_dict(self) -> State:
        """The contexts in the order of their rows; these rows and the shared one."""
        used = [*range(len(self._row)), self.capacity]
        contexts = torch.tensor(list(self._row), dtype=torch.long)
        return {"contexts": contexts, **{name: one.detach()[used] for name, one in self.named().items()}}

    def load_state_dict(self, state: State) -> None:
        """Restore in place. Raises ValueError for more rows than there are here."""
        contexts = state["contexts"].tolist()
        if len(contexts) > self.capacity:
            raise ValueError(f"policy.capacity={self.capacity}: the saved policy has {len(contexts)} trained contexts.")
        self._row.clear()  # in place: a twin shares it
        self._row.update((context, row) for row, context in enumerate(contexts))
        with torch.no_grad():
            for name, parameter in self.named().items():
                saved = state[name]  # a new value head has the shared row alone
                parameter.zero_()
                parameter[: len(saved) - 1], parameter[-1] = saved[:-1], saved[-1]
