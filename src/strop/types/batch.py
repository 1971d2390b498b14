"""Picks as tensors, and how they are cut into micro-batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Keep: TypeAlias = "Literal['row', 'episode', 'group']"


@dataclass(frozen=True)
class Batch:
    """Picks as tensors. Slot t of a `_BT` tensor belongs to the action `tokens[t]` given `tokens[<t]`.

    tokens_BT    int64; 0 in padding
    action_BT    bool; the policy chose this token
    logprobs_BT  float64, nats, of the distribution that was sampled from; NaN where unknown: select with `where`
    rewards_BT   float64; the reward that followed this action
    allowed_BT   int64; row of `allowed_SK` with the tokens that might have been chosen in this slot, -1 where all might
    next_BT      int64; FLAT index (row * T + t) of the next decision, -1 where nothing is bootstrapped (terminated)
    version_B    int64; the policy's version that acted
    episode_B    int64; which of the E picks the row belongs to; rows of a pick stand in order
    turn_B       int64; the first turn of the row
    offset_B     int64; how many actions of the episode come before the row's first one
    source_E     int64; index into `tuple(Source)`
    group_E      int64; equal for the picks of one group
    return_E     float64; undiscounted return of the whole episode, NaN if Unscored
    weight_E     float64; the pick's weight, 0 if Unscored
    cut_E        bool; a completion of the episode was cut at `max_tokens`
    parts_EK     float64; what each reward gave the episode, NaN where it gave none: first the environment's own of all
                 turns, then the named parts that are trained on, in the order of their names
    part_weight_K  float64; what each of them weighs in the return
    allowed_SK   int64; the S distinct sets of allowed tokens, padded with -1; 0 rows where nothing is restricted
    """

    tokens_BT: Tensor
    action_BT: Tensor
    logprobs_BT: Tensor
    rewards_BT: Tensor
    allowed_BT: Tensor
    next_BT: Tensor
    version_B: Tensor
    episode_B: Tensor
    turn_B: Tensor
    offset_B: Tensor
    source_E: Tensor
    group_E: Tensor
    return_E: Tensor
    weight_E: Tensor
    cut_E: Tensor
    parts_EK: Tensor
    part_weight_K: Tensor
    allowed_SK: Tensor

    @cached_property
    def decision_BT(self) -> Tensor:
        """bool: the slots where a head is read: every action, and the bootstrap slot of a truncated row."""
        decision_N = self.action_BT.flatten().clone()
        next_N = self.next_BT[self.action_BT]
        decision_N[next_N[next_N >= 0]] = True
        return decision_N.view_as(self.action_BT)

    @property
    def slots_BT(self) -> Tensor:
        """The flat index of each slot."""
        return (self.tokens_BT.new_ones(self.tokens_BT.numel()).cumsum(0) - 1).view(self.tokens_BT.shape)

    @property
    def weight_B(self) -> Tensor:
        """The weight of each row's pick."""
        return self.weight_E[self.episode_B]

    def to(self, device: str) -> Batch:
        """This batch on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def rows(self, rows: list[int]) -> Batch:
        """The batch of these rows. The E fields stay whole; a pointer to a row that is left out becomes -1."""
        return _take(self, rows, self.tokens_BT.shape[1])

    def split(self, budget: int, keep: Keep, *opinions_BT: Tensor) -> Iterator[tuple[Any, ...]]:
        """Yield `(micro, slots_bt, *opinions)` so that each micro-batch holds at most `budget` padded tokens.

        `slots_bt` says where each of its slots stands in this batch: flat indices, as those of `next_BT`. Rows are
        taken longest first, so that little is padded. `keep` names what must not be split: a row, an episode
        (sequence losses) or a group (pairs); an oversize unit goes alone. `next_BT` is re-based and points inside the
        micro-batch; with keep="row" a pointer to another row becomes -1, so a loss that bootstraps keeps episodes. The
        E fields stay whole: `episode_B` still indexes them.
        """
        lengths_B = _lengths(self)
        slots_BT = self.slots_BT
        if set(lengths_B) == {self.tokens_BT.shape[1]} and self.tokens_BT.numel() <= budget:
            yield (self, slots_BT, *opinions_BT)  # all of it, as it stands: nothing to cut or to sort
            return
        for rows in _pack(self, lengths_B, budget, keep):
            width = max(lengths_B[row] for row in rows)
            yield (_take(self, rows, width), *(whole_BT[rows, :width] for whole_BT in (slots_BT, *opinions_BT)))


def _lengths(batch: Batch) -> list[int]:
    """The used width of each row: up to its last decision."""
    decision_BT = batch.decision_BT
    width = decision_BT.shape[1]
    last_B = width - decision_BT.flip(1).int().argmax(dim=1)
    return [int(n) if used else 1 for n, used in zip(last_B.tolist(), decision_BT.any(dim=1).tolist(), strict=True)]


def _pack(batch: Batch, lengths_B: list[int], budget: int, keep: Keep) -> list[list[int]]:
    """Row numbers of each micro-batch."""
    owner_B = {
        "row": list(range(len(lengths_B))),
        "episode": batch.episode_B.tolist(),
        "group": batch.group_E[batch.episode_B].tolist(),
    }[keep]
    units: dict[int, list[int]] = {}
    for row, owner in enumerate(owner_B):
        units.setdefault(owner, []).append(row)
    longest_first = sorted(units.values(), key=lambda rows: -max(lengths_B[row] for row in rows))
    packed: list[list[int]] = []
    width = 0  # of the newest micro-batch: that of its first unit, since no later one is longer
    for rows in longest_first:
        if packed and (len(packed[-1]) + len(rows)) * width <= budget:
            packed[-1].extend(rows)
        else:
            packed.append(list(rows))
            width = max(lengths_B[row] for row in rows)
    return packed


def _take(batch: Batch, rows: list[int], width: int) -> Batch:
    """The batch of these rows, cut to `width` slots, its pointers re-based."""
    old_width = batch.tokens_BT.shape[1]
    new_row_B = batch.episode_B.new_full((batch.tokens_BT.shape[0] + 1,), -1)  # the last slot catches pointer -1
    new_row_B[rows] = batch.episode_B.new_tensor(range(len(rows)))
    next_BT = batch.next_BT[rows, :width]
    target_BT = new_row_B[next_BT.div(old_width, rounding_mode="floor")]  # -1 // width == -1: the catching slot
    rebased_BT = (target_BT * width + next_BT % old_width).masked_fill(target_BT < 0, -1)
    return replace(
        batch,
        tokens_BT=batch.tokens_BT[rows, :width],
        action_BT=batch.action_BT[rows, :width],
        logprobs_BT=batch.logprobs_BT[rows, :width],
        rewards_BT=batch.rewards_BT[rows, :width],
        allowed_BT=batch.allowed_BT[rows, :width],
        next_BT=rebased_BT,
        version_B=batch.version_B[rows],
        episode_B=batch.episode_B[rows],
        turn_B=batch.turn_B[rows],
        offset_B=batch.offset_B[rows],
    )
