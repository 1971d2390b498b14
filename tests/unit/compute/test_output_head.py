"""Logits are read in chunks and blocks of any size, and nobody can tell."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from strop.compute import output_head
from strop.compute.output_head import ChunkedHeads, equal_chunks
from strop.types import Heads

NUM, WIDTH, WORDS = 37, 5, 7
LOGITS = WORDS * 4
"""Bytes of a row."""


@pytest.mark.parametrize(
    ("chunk", "block", "asked", "firsts"),
    [
        (100, 100, [38], [0]),
        (100, 16, [38], [0, 16, 32]),
        (36, 100, [19, 18], [0, 19]),  # as equal as can be: 36 and 1 would be two as well
        (36, 10, [19, 18], [0, 10, 19, 29]),
        (1, 1, [1] * NUM, [*range(NUM)]),
    ],
)
@pytest.mark.parametrize("learns", [False, True])
def test_sizes_do_not_matter(
    learns: bool, chunk: int, block: int, asked: list[int], firsts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    head, values = nn.Linear(WIDTH, WORDS).double(), nn.Linear(WIDTH, 1).double()
    hidden_NH = torch.randn(NUM, WIDTH, dtype=torch.float64, requires_grad=learns)
    tokens_N = torch.arange(NUM) % WORDS
    sizes: list[int] = []
    seen: list[int] = []

    def asks(rows_NH: Tensor) -> Tensor:
        sizes.append(len(rows_NH))
        logits_NV: Tensor = head(rows_NH)
        return logits_NV

    def reduce(heads: Heads) -> Mapping[str, Tensor]:
        assert heads.logits_NV is not None
        assert heads.value_N is not None
        assert heads.q_NV is None
        seen.append(heads.first)
        picked_N = heads.logits_NV.log_softmax(dim=-1).gather(1, heads.tokens_N.unsqueeze(1)).squeeze(1)
        return {"picked": picked_N, "value": heads.value_N}

    monkeypatch.setattr(output_head, "CHUNK_BYTES", chunk * LOGITS)
    monkeypatch.setattr(output_head, "BLOCK_BYTES", block * LOGITS)
    found = ChunkedHeads(asks, values, WORDS, frozenset({"logits", "value"}), reduce).apply(hidden_NH, tokens_N)
    assert (sizes, seen) == (asked, firsts)
    picked_N = head(hidden_NH).log_softmax(dim=-1)[torch.arange(NUM), tokens_N]
    direct = {"picked": picked_N, "value": values(hidden_NH).squeeze(1)}
    torch.testing.assert_close(found, direct)
    if learns:
        weights_N = torch.linspace(-1, 1, NUM)
        of = [hidden_NH, *head.parameters(), *values.parameters()]
        gradients = [
            torch.autograd.grad(((one["picked"] + one["value"] ** 2) * weights_N).sum(), of) for one in (found, direct)
        ]
        torch.testing.assert_close(*gradients)
        assert sorted(sizes) == sorted([*asked, *asked[:-1]])  # made anew, but for the last


def test_heads_that_are_not_wanted_are_not_computed() -> None:
    def never(_: Tensor) -> Tensor:
        raise AssertionError("nobody asked for logits")

    values = nn.Linear(WIDTH, 1)
    heads = ChunkedHeads(
        never, values, WORDS, frozenset({"value"}), lambda heads: {"value": heads.value_N + heads.first}
    )
    assert heads.apply(torch.zeros(3, WIDTH), torch.zeros(3, dtype=torch.long))["value"].shape == (3,)


def test_an_empty_batch() -> None:
    head = nn.Linear(WIDTH, WORDS)
    heads = ChunkedHeads(head, None, WORDS, frozenset({"q"}), lambda heads: {"best": heads.q_NV.amax(dim=-1)})
    assert heads.apply(torch.zeros(0, WIDTH), torch.zeros(0, dtype=torch.long))["best"].shape == (0,)


@pytest.mark.parametrize(
    ("num", "most", "size"), [(0, 5, 1), (1, 5, 1), (12, 5, 4), (1024, 341, 256), (1024, 1, 1), (1023, 1024, 1024)]
)
def test_chunks_are_equal_and_round(num: int, most: int, size: int) -> None:
    assert equal_chunks(num, most) == size
