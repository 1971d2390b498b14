"""Episodes to tensors: a draw of picks becomes one Batch.

A row holds the turns of an episode whose prompts extend each other; a prompt that rewrites what stood starts a new
row. Rewards land on the action they follow, `next_BT` links each decision to the next one, and a TRUNCATED episode
(or a pick that stops before the episode does) ends in one extra slot where a value is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from strop.types import Batch, Draw, End, Episode, Pick, Source, Tokens, Turn, Unscored

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
    rows_E = [_rows_of(pick, layout) for pick in draw]
    rows, episode_B = [], []
    for e, pick_rows in enumerate(rows_E):
        rows.extend(pick_rows)
        episode_B.extend([e] * len(pick_rows))
    if not rows:
        raise ValueError("no episode of this update has a turn: there is nothing to learn from.")
    return _tensors(draw, rows, episode_B)


def scored_rewards(episode: Episode) -> list[float]:
    """The reward that follows each action of the episode; all 0 where it is Unscored (its weight is 0 as well).

    A turn's reward falls on its last action, a part's total on the last action of all unless the part says where. A
    turn without an action gives its reward to the decision before it; with none before, it counts in `return_` only.
    """
    lengths = [len(turn.completion.tokens) for turn in episode.turns]
    ends = [sum(lengths[: i + 1]) - 1 for i in range(len(lengths))]  # last action at or before the end of turn i
    rewards = [0.0] * sum(lengths)
    if isinstance(episode.return_, Unscored) or not rewards:
        return rewards
    for end, turn in zip(ends, episode.turns, strict=True):
        if end >= 0:
            rewards[end] += turn.reward
    for part in episode.parts.values():
        if part.weight == 0.0:
            continue
        if part.tokens is not None:
            for i, reward in enumerate(part.tokens):
                rewards[i] += part.weight * reward
        elif part.turns is not None:
            for end, reward in zip(ends, part.turns, strict=True):
                if end >= 0:
                    rewards[end] += part.weight * reward
        else:
            assert not isinstance(part.total, Unscored)
            rewards[-1] += part.weight * part.total
    return rewards


def _rows_of(pick: Pick, layout: str) -> list[_Row]:
    """The rows of one pick, with its bootstrap slot."""
    episode = pick.episode
    first = 0 if pick.turn is None else pick.turn
    last = len(episode.turns) if pick.turn is None else first + pick.length
    if not 0 <= first <= last <= len(episode.turns):
        raise ValueError(f"episode {episode.id} has {len(episode.turns)} turns; turns {first} to {last} were picked.")
    rewards = scored_rewards(episode)
    offset = sum(len(turn.completion.tokens) for turn in episode.turns[:first])
    rows: list[_Row] = []
    for i in range(first, last):
        turn = episode.turns[i]
        row = _row_for(turn.prompt, rows, layout)
        if row is None:
            row = _Row(turn=i, offset=offset, tokens=list(turn.prompt))
            rows.append(row)
        _append(row, turn, rewards[offset : offset + len(turn.completion.tokens)])
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
    if len(prompt) < len(stood) or list(prompt[: len(stood)]) != stood:
        return None
    stood.extend(prompt[len(stood) :])
    return rows[-1]


def _append(row: _Row, turn: Turn, rewards: Sequence[float]) -> None:
    tokens, logprobs = turn.completion.tokens, turn.completion.logprobs
    row.actions.extend(range(len(row.tokens), len(row.tokens) + len(tokens)))
    row.tokens.extend(tokens)
    row.logprobs.extend(logprobs if logprobs is not None else [math.nan] * len(tokens))
    row.rewards.extend(rewards)


def _tensors(draw: Draw, rows: list[_Row], episode_B: list[int]) -> Batch:
    width = max(len(row.tokens) + row.has_bootstrap for row in rows)
    shape = (len(rows), width)
    tokens_BT = torch.zeros(shape, dtype=torch.long)
    action_BT = torch.zeros(shape, dtype=torch.bool)
    logprobs_BT = torch.full(shape, math.nan, dtype=torch.float64)
    rewards_BT = torch.zeros(shape, dtype=torch.float64)
    next_BT = torch.full(shape, NO_BOOTSTRAP)
    for b, row in enumerate(rows):
        tokens_BT[b, : len(row.tokens)] = torch.tensor(row.tokens)
        if row.actions:
            action_BT[b, row.actions] = True
            logprobs_BT[b, row.actions] = torch.tensor(row.logprobs, dtype=torch.float64)
            rewards_BT[b, row.actions] = torch.tensor(row.rewards, dtype=torch.float64)
    for slot, following in _links(rows, episode_B, width):
        next_BT.view(-1)[slot] = following
    returns = [pick.episode.return_ for pick in draw]
    sources = tuple(Source)
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
        cut_E=torch.tensor([any(turn.completion.finish == "length" for turn in pick.episode.turns) for pick in draw]),
    )


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
