"""A table acts on contexts that it has no row for, and only what it learns makes rows."""

from __future__ import annotations

import pytest
import torch

from strop.policies.table import Table


def test_acting_makes_no_rows_and_reads_what_a_row_would_hold() -> None:
    table = Table(3, capacity=2, initial=0.5)
    with torch.no_grad():
        table.weight[table.row((1,))] = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    logits_BV, state = table.prefill([(1,), (2,), (0, 1)])
    assert logits_BV.tolist() == [[1.0, 2.0, 3.0], [0.5] * 3, [0.5] * 3]
    assert table.decode(state, torch.tensor([0, 0, 0]))[0].tolist() == [[0.5] * 3] * 3
    assert list(table.contexts) == [(1,)]


def test_a_full_table_says_so_when_it_meets_a_new_context() -> None:
    table = Table(3, capacity=1)
    table.row((1,))
    assert table.prefill([(1,)])[0].tolist() == [[0.0] * 3]
    with pytest.raises(ValueError, match="the table is full"):
        table.prefill([(1,), (2,)])


def test_a_state_of_another_vocabulary_is_refused() -> None:
    """Also that of one token, which tensors would spread over all others."""
    table = Table(3, capacity=2)
    with pytest.raises(RuntimeError, match=r"the saved weights are of another shape: weight is \[2, 1\], not \[2, 3\]"):
        table.load_state_dict(Table(1, capacity=2).state_dict())
