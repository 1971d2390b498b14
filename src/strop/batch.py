"""Episodes to tensors: a draw of picks becomes one Batch.

A row holds the turns of an episode whose prompts extend each other; a prompt that rewrites what stood starts a new
row. Rewards land on the action they follow, `next_BT` links each decision to the next one, and a TRUNCATED episode
(or a pick that stops before the episode does) ends in one extra slot where a value is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal, TypeVar

import torch
from torch import Tensor

from strop.types import Batch, Draw, End, Episode, Pick, Source, Tokens, Turn, Unscored

T = TypeVar("T")
NO_BOOTSTRAP = -1


@dataclass(slots=True)
class _Row:
    """One row while it is built. `actions` lists the slots of the policy's tokens, in order."""

    turn: int
    offset: int
    tokens: list[int] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    has_bootstrap: bool = False


def collate(draw: Draw, layout: Literal["joined", "per_turn"]) -> Batch:
    """The batch of a draw. Raises ValueError for an empty draw, or one whose picks hold no turn at all."""
    if not draw:
        raise ValueError("an update needs at least one pick: the memory drew none.")
    returns = [pick.episode.reward for pick in draw]
    rows_E = [_rows_of(pick, layout, not isinstance(r, Unscored)) for pick, r in zip(draw, returns, strict=True)]
    rows, episode_B = [], []
    for e, pick_rows in enumerate(rows_E):
        rows.extend(pick_rows)
        episode_B.extend([e] * len(pick_rows))
    if not rows:
        raise ValueError("no episode of this update has a turn: there is nothing to learn from.")
    return _tensors(draw, returns, rows, episode_B)


def scored_rewards(episode: Episode) -> list[float]:
    """The reward that follows each action of the episode; all 0 where it is Unscored (its weight is 0 as well)."""
    return _rewards(episode, 0, len(episode.turns), not isinstance(episode.reward, Unscored))


def _rewards(episode: Episode, first: int, last: int, is_scored: bool) -> list[float]:
    """The reward that follows each action of turns [first, last).

    A turn's reward falls on its last action, a part's total on the last action of all unless the part says where. A
    turn without an action gives its reward to the decision before it; with none before, it counts in `reward` only.
    """
    turns, before = episode.turns, episode.first_actions
    rewards = [0.0] * (before[last] - before[first])
    if not is_scored or not rewards:
        return rewards
    falls = list(_falls(turns, first, last))
    for at, i in falls:
        rewards[at] += turns[i].reward
    for part in episode.parts.values():
        if part.weight == 0.0:
            continue
        if part.tokens is not None:
            for at, reward in enumerate(part.tokens[before[first] : before[last]]):
                rewards[at] += part.weight * reward
        elif part.turns is not None:
            for at, i in falls:
                rewards[at] += part.weight * part.turns[i]
        elif before[last] == episode.num_actions:
            assert not isinstance(part.total, Unscored)
            rewards[-1] += part.weight * part.total
    return rewards


def _falls(turns: Sequence[Turn], first: int, last: int) -> Iterator[tuple[int, int]]:
    """(action, turn): on which action of turns [first, last) each turn's reward falls, where it falls on one."""
    at = -1
    for i in range(first, len(turns)):
        length = len(turns[i].completion.tokens)
        if i >= last and length:
            return
        at += length
        if at >= 0:
            yield at, i


def _rows_of(pick: Pick, layout: str, is_scored: bool) -> list[_Row]:
    """The rows of one pick, with its bootstrap slot."""
    episode = pick.episode
    first = 0 if pick.turn is None else pick.turn
    last = len(episode.turns) if pick.turn is None else first + pick.length
    if not 0 <= first <= last <= len(episode.turns):
        raise ValueError(f"episode {episode.id} has {len(episode.turns)} turns; turns {first} to {last} were picked.")
    rewards = iter(_rewards(episode, first, last, is_scored))
    offset = episode.first_actions[first]
    rows: list[_Row] = []
    for i in range(first, last):
        turn = episode.turns[i]
        row = _row_for(turn.prompt, rows, layout)
        if row is None:
            row = _Row(turn=i, offset=offset, tokens=list(turn.prompt))
            rows.append(row)
        _append(row, turn, islice(rewards, len(turn.completion.tokens)))
        offset += len(turn.completion.tokens)
    following = _bootstrap_prompt(episode, last)
    if following and any(row.actions for row in rows):
        row = _row_for(following, rows, layout)
        if row is None:
            row = _Row(turn=last, offset=offset, tokens=list(following))
            rows.append(row)
        row.has_bootstrap = True
    return rows


def _bootstrap_prompt(episode: Episode, last: int) -> Tokens:
    """The prompt of the next decision after the picked turns, where a value stands for it; empty if there is none."""
    for turn in episode.turns[last:]:
        if turn.completion.tokens:
            return turn.prompt
    return episode.final if episode.end is End.TRUNCATED else ()


def _row_for(prompt: Tokens, rows: list[_Row], layout: str) -> _Row | None:
    """The last row, grown to `prompt`, if the prompt extends what stands there; else None."""
    if not rows or layout == "per_turn":
        return None
    stood = rows[-1].tokens
    if list(prompt[: len(stood)]) != stood:
        return None
    stood.extend(prompt[len(stood) :])
    return rows[-1]


def _append(row: _Row, turn: Turn, rewards: Iterable[float]) -> None:
    tokens, logprobs = turn.completion.tokens, turn.completion.logprobs
    row.actions.extend(range(len(row.tokens), len(row.tokens) + len(tokens)))
    row.tokens.extend(tokens)
    row.logprobs.extend(logprobs if logprobs is not None else [math.nan] * len(tokens))
    row.rewards.extend(rewards)


def _tensors(draw: Draw, returns: Sequence[float | Unscored], rows: list[_Row], episode_B: list[int]) -> Batch:
    """Flat lists of all rows go into each tensor at once: a draw of turns has many short rows."""
    width = max(len(row.tokens) + row.has_bootstrap for row in rows)
    shape = (len(rows), width)
    tokens_BT = torch.zeros(shape, dtype=torch.long)
    action_BT = torch.zeros(shape, dtype=torch.bool)
    logprobs_BT = torch.full(shape, math.nan, dtype=torch.float64)
    rewards_BT = torch.zeros(shape, dtype=torch.float64)
    next_BT = torch.full(shape, NO_BOOTSTRAP)
    length_B = torch.tensor([len(row.tokens) for row in rows])
    stands_BT = torch.arange(width) < length_B.unsqueeze(1)
    tokens_BT[stands_BT] = torch.tensor(_flat(row.tokens for row in rows), dtype=torch.long)
    slot_N = torch.tensor([b * width + t for b, row in enumerate(rows) for t in row.actions], dtype=torch.long)
    action_BT.view(-1)[slot_N] = True
    logprobs_BT.view(-1)[slot_N] = torch.tensor(_flat(row.logprobs for row in rows), dtype=torch.float64)
    rewards_BT.view(-1)[slot_N] = torch.tensor(_flat(row.rewards for row in rows), dtype=torch.float64)
    if links := list(_links(rows, episode_B, width)):
        from_N, to_N = torch.tensor(links).unbind(1)
        next_BT.view(-1)[from_N] = to_N
    sources = tuple(Source)
    parts_EK, part_weight_K = _parts([pick.episode for pick in draw])
    return Batch(
        tokens_BT=tokens_BT,
        action_BT=action_BT,
        logprobs_BT=logprobs_BT,
        rewards_BT=rewards_BT,
        next_BT=next_BT,
        version_B=torch.tensor([draw[e].episode.version for e in episode_B]),
        episode_B=torch.tensor(episode_B),
        turn_B=torch.tensor([row.turn for row in rows]),
        offset_B=torch.tensor([row.offset for row in rows]),
        source_E=torch.tensor([sources.index(pick.episode.source) for pick in draw]),
        group_E=torch.tensor([pick.episode.group for pick in draw]),
        return_E=torch.tensor([math.nan if isinstance(r, Unscored) else r for r in returns], dtype=torch.float64),
        weight_E=torch.tensor(
            [0.0 if isinstance(r, Unscored) else pick.weight for r, pick in zip(returns, draw, strict=True)],
            dtype=torch.float64,
        ),
        cut_E=torch.tensor([pick.episode.is_cut for pick in draw]),
        parts_EK=parts_EK,
        part_weight_K=part_weight_K,
    )


def _parts(episodes: Sequence[Episode]) -> tuple[Tensor, Tensor]:
    """What each reward gave each episode [E, K], and their weights [K]: the environment's own first, which weighs 1.

    A name that has two weights, as in the logs of several runs, is two rewards.
    """
    gave_E = [_gave(episode) for episode in episodes]
    named = sorted(set().union(*gave_E))
    own_E = [math.nan if one.end is End.FAILED else one.turn_reward for one in episodes]
    columns = [own_E, *([gave.get(reward, math.nan) for gave in gave_E] for reward in named)]
    weights = [1.0, *(weight for _, weight in named)]
    return torch.tensor(columns, dtype=torch.float64).T, torch.tensor(weights, dtype=torch.float64)


def _gave(episode: Episode) -> dict[tuple[str, float], float]:
    """What the named rewards that are trained on gave, by name and weight; nothing where it is Unscored or FAILED."""
    if episode.end is End.FAILED or not episode.parts:
        return {}
    return {
        (name, part.weight): part.total
        for name, part in episode.parts.items()
        if part.weight != 0.0 and not isinstance(part.total, Unscored)
    }


def _flat(lists: Iterable[list[T]]) -> list[T]:
    return list(chain.from_iterable(lists))


def _links(rows: list[_Row], episode_B: list[int], width: int) -> Iterator[tuple[int, int]]:
    """(slot, next slot) of every decision that another one follows within its pick, as flat indices."""
    previous, owner = None, None
    for b, row in enumerate(rows):
        if episode_B[b] != owner:
            previous, owner = None, episode_B[b]
        slots = [*row.actions, *([len(row.tokens)] if row.has_bootstrap else [])]
        for t in slots:
            if previous is not None:
                yield previous, b * width + t
            previous = b * width + t
