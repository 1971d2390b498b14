"""Batch.split: micro-batches tear nothing apart, lose nothing, and point at the same decisions."""

from __future__ import annotations

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.types import Batch, End


def ragged() -> Batch:
    """Two groups, rows of many lengths, a multi-row episode, a truncated one, and one without actions."""
    return batch_of(
        episode(turn((1,), (10, 11)), turn((2,), (12, 13, 14)), reward=1.0, group=0),
        episode(turn((1, 2, 3), (15,)), end=End.TRUNCATED, final=(1, 2, 3, 15, 4), group=0),
        episode(turn((1,), ()), group=1),
        episode(turn((1, 2), (16, 17, 18, 19, 20, 21)), group=1),
        episode(turn((1,), (22,)), end=End.TRUNCATED, final=(9, 9), group=1),
    )


def chain(batch: Batch) -> set[tuple[int, int]]:
    """(token, token of the next decision) of every link; a bootstrap slot reads 0."""
    width = batch.tokens_BT.shape[1]
    links = set()
    for b, t in (batch.next_BT >= 0).nonzero().tolist():
        row, slot = divmod(int(batch.next_BT[b, t]), width)
        assert batch.episode_B[row] == batch.episode_B[b]
        assert batch.decision_BT[row, slot]
        links.add((int(batch.tokens_BT[b, t]), int(batch.tokens_BT[row, slot])))
    return links


# within rows: 10-11, 12-13-14, 15-boot, 16..21; across rows: 11-12 (rewritten prompt), 22-boot (final rewrote)
WITHIN = {(10, 11), (12, 13), (13, 14), (15, 0), (16, 17), (17, 18), (18, 19), (19, 20), (20, 21)}
ACROSS = {(11, 12), (22, 0)}


def test_whole_batch_has_every_link() -> None:
    assert chain(ragged()) == WITHIN | ACROSS


@pytest.mark.parametrize("budget", [1, 8, 13, 20, 1000])
@pytest.mark.parametrize("keep", ["row", "episode", "group"])
def test_split_keeps_units_whole_and_loses_nothing(keep: str, budget: int) -> None:
    batch = ragged()
    seen, links, owners = [], set(), []
    for micro, slot_bt in batch.split(budget, keep):
        rows, width = micro.tokens_BT.shape
        units = {
            "row": range(rows),
            "episode": micro.episode_B.tolist(),
            "group": micro.group_E[micro.episode_B].tolist(),
        }
        assert rows * width <= budget or len(set(units[keep])) == 1  # only an oversize unit goes over, alone
        assert torch.equal(batch.tokens_BT.flatten()[slot_bt], micro.tokens_BT)
        assert torch.equal(batch.tokens_BT.flatten()[slot_bt], micro.tokens_BT)
        seen.extend(micro.tokens_BT[micro.action_BT].tolist())
        links |= chain(micro)
        owners.append(
            {"row": [], "episode": micro.episode_B.tolist(), "group": micro.group_E[micro.episode_B].tolist()}[keep]
        )
    assert sorted(seen) == list(range(10, 23))
    together = [owner for unit in owners for owner in set(unit)]
    assert len(together) == len(set(together))  # no unit stands in two micro-batches
    assert links >= WITHIN - {(15, 0)}
    if keep != "row" or budget == 1000:
        assert links == WITHIN | ACROSS
    elif budget == 1:
        assert links == WITHIN  # a pointer out of the micro-batch is cut, never left dangling


def test_split_cuts_padding_but_no_decision() -> None:
    batch = batch_of(episode(turn((1,), (5,))), episode(turn((1,), (6, 7, 8, 9, 10))))
    widths = sorted(micro.tokens_BT.shape[1] for micro, _ in batch.split(1, "row"))
    assert widths == [2, 6]
    truncated = batch_of(episode(turn((1,), (5,)), end=End.TRUNCATED, final=(1, 5, 2, 3)))
    ((micro, _),) = truncated.split(1, "row")
    assert micro.tokens_BT.shape[1] == 5  # the bootstrap slot behind 1 5 2 3 stays


def test_merged_means_weigh_by_count() -> None:
    from strop.types import Last, Max, Mean, merge_metrics

    merged = merge_metrics(
        [{"a": Mean(1.0, 1), "b": Max(3.0), "c": Last(1.0)}, {"a": Mean(8.0, 2), "b": Max(2.0), "c": Last(5.0)}]
    )
    assert {name: metric.value for name, metric in merged.items()} == {"a": 3.0, "b": 3.0, "c": 5.0}
