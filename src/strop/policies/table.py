"""A table with a row of logits or action values for every token prefix: the smallest language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.codec import WordCodec
from strop.devices import require_cpu_if_alone
from strop.policies._heads import LOGITS, scatter
from strop.policies.demands import require_values
from strop.types import (
    Batch,
    ComputesOn,
    Heads,
    PolicyConfig,
    Reduce,
    State,
    Tokens,
    Want,
    WeightsLock,
    check_fields,
)


class Table:
    """A table [rows, V] in float64, keyed by the tokens so far; its entries are read as logits or as action values.

    With `value_head` each row also has the value of its prefix, which starts at 0.
    `order` limits the key to the last tokens of the prefix (an n-gram context); None keeps the whole prefix. A prefix
    gets its row when it is first seen; more than `capacity` of them is an error.

    `order` makes it no `NGram`, whose context is one token shorter than its order: that one is counted and smoothed, so
    that a context that was never seen has the distribution of a shorter one, and learns by gradient only what differs.
    """

    layout: Literal["joined", "per_turn"] = "per_turn"
    context: int | None = None

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options.

        words       the vocabulary
        has_end     adds the token that ends a completion
        order       the context is so many last tokens; none takes the whole prefix
        capacity    the most contexts that the table can hold
        initial     initial value of every entry
        value_head  adds the value that actor-critic algorithms and reward models read
        """

        computes_on: ClassVar[ComputesOn] = "cpu"
        words: Sequence[str]
        has_end: bool = False
        order: int | None = None
        capacity: int = 4096
        initial: float = 0.0
        value_head: bool = False

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, seed: int, dtype: str = "float64", device: str = "cpu") -> tuple[Table, WordCodec]:
            """The table and its codec. A table is always float64 on the CPU, and needs no seed."""
            require_cpu_if_alone(device, self)
            codec = WordCodec(self.words, self.has_end)
            return Table(codec.size, self.order, self.capacity, self.initial, self.value_head), codec

    def __init__(
        self,
        vocabulary: int,
        order: int | None = None,
        capacity: int = 4096,
        initial: float = 0.0,
        value_head: bool = False,
    ) -> None:
        if order is not None and order < 1:
            raise ValueError(f"policy.order={order}: a context has at least 1 token; None keeps the whole prefix.")
        self.lock = WeightsLock()
        self.vocabulary, self.order, self.has_values = vocabulary, order, value_head
        self.weight = Parameter(torch.full((capacity, vocabulary), initial, dtype=torch.float64))
        self.value = Parameter(torch.zeros(capacity, dtype=torch.float64)) if value_head else None
        self._row: dict[Tokens, int] = {}

    def row(self, prefix: Tokens) -> int:
        """The row of a prefix; a new one is added if it has none."""
        key = self._context(prefix)
        if key not in self._row:
            if len(self._row) == self.weight.shape[0]:
                raise ValueError(
                    f"the table is full: more than policy.capacity={len(self._row)} contexts were seen. Raise it, or "
                    "set policy.order to shorten the context."
                )
            self._row[key] = len(self._row)
        return self._row[key]

    @property
    def contexts(self) -> dict[Tokens, int]:
        """Every context seen so far and its row."""
        return dict(self._row)

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, list[Tokens]]:
        """Look the prompts up."""
        return self._read(prompts), list(prompts)

    def decode(self, state: list[Tokens], tokens_B: Tensor) -> tuple[Tensor, list[Tokens]]:
        """Append a token to each prefix and look it up."""
        prefixes = [(*prefix, token) for prefix, token in zip(state, tokens_B.tolist(), strict=True)]
        return self._read(prefixes), prefixes

    def keep(self, state: list[Tokens], rows: Sequence[int]) -> list[Tokens]:
        """The prefixes of these rows."""
        return [state[row] for row in rows]

    def join(self, states: Sequence[list[Tokens]]) -> list[Tokens]:
        """The prefixes of all rows."""
        return [prefix for state in states for prefix in state]

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """One chunk: a table is small."""
        if "value" in want:
            require_values(self)
        decision_BT = batch.decision_BT
        prefixes = [tuple(batch.tokens_BT[b, :t].tolist()) for b, t in decision_BT.nonzero().tolist()]
        rows = [self.row(prefix) for prefix in prefixes]
        table_NV = self.weight[rows]
        tokens_N = batch.tokens_BT[decision_BT]
        heads = Heads(
            tokens_N=tokens_N,
            logits_NV=table_NV if "logits" in want else None,
            value_N=self.value[rows] if self.value is not None and "value" in want else None,
            q_NV=table_NV if "q" in want else None,
        )
        return {name: scatter(value_N, decision_BT) for name, value_N in reduce(heads).items()}

    def reference(self) -> Table:
        """A frozen copy, with the value head if there is one."""
        copy = Table(self.vocabulary, self.order, self.weight.shape[0], value_head=self.value is not None)
        copy.load_state_dict(self.state_dict())
        for parameter in copy.parameters():
            parameter.requires_grad_(False)
        return copy

    def twin(self) -> Table:
        """A copy with parameters of its own; the index of rows is shared, so that row k is the same context in both."""
        copy = Table(self.vocabulary, self.order, self.weight.shape[0], value_head=self.value is not None)
        copy.load_state_dict(self.state_dict())
        copy._row = self._row
        return copy

    def parameters(self) -> list[Parameter]:
        """The table, and the values if there are any."""
        return [self.weight] if self.value is None else [self.weight, self.value]

    def state_dict(self) -> State:
        values = {} if self.value is None else {"value": self.value.detach().clone()}
        return {"weight": self.weight.detach().clone(), "contexts": [list(prefix) for prefix in self._row], **values}

    def load_state_dict(self, state: State) -> None:
        if state["weight"].shape != self.weight.shape:  # copy_ says so too, but spreads a single column over all tokens
            saved, own = list(state["weight"].shape), list(self.weight.shape)
            raise RuntimeError(f"the saved weights are of another shape: weight is {saved}, not {own}.")
        with self.lock.changing(), torch.no_grad():
            self.weight.copy_(state["weight"])
            if self.value is not None:
                self.value.copy_(state["value"])
            self._row.clear()  # in place: a twin shares it
            self._row.update((tuple(prefix), i) for i, prefix in enumerate(state["contexts"]))

    def _context(self, prefix: Tokens) -> Tokens:
        return prefix if self.order is None else prefix[-self.order :]

    def _read(self, prefixes: Sequence[Tokens]) -> Tensor:
        """Sampling adds no rows: a judgement, which a resumed run does not repeat, must leave no trace.

        A context without a row reads the next free one, since all free rows are equal.
        """
        free = len(self._row)
        if free == self.weight.shape[0]:
            return self.weight.detach()[[self.row(prefix) for prefix in prefixes]]
        return self.weight.detach()[[self._row.get(self._context(prefix), free) for prefix in prefixes]]
