"""Episodes to tensors: a draw of picks becomes one Batch.

A row holds the turns of an episode whose prompts extend each other; a prompt that rewrites what stood starts a new
row. Rewards land on the action they follow, `next_BT` links each decision to the next one, and a TRUNCATED episode
(or a pick that stops before the episode does) ends in one extra slot where a value is read. Where a turn was one of a
few choices, each decision knows which tokens might have stood there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

from strop.functional.restriction import ANY, padded
from strop.types import Batch, Choices, Draw, End, Episode, Pick, Source, Tokens, Turn, Unscored

T = TypeVar("T")
NO_BOOTSTRAP = -1
Sets: TypeAlias = "dict[Tokens, int]"
"""The distinct sets of allowed tokens, and their number."""


@dataclass(slots=True)
class _Row:
    """One row while it is built. `actions` lists the slots of the policy's tokens, in order."""

    turn: int
    offset: int
    tokens: list[int] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    allowed: list[int] = field(default_factory=list)
    has_bootstrap: bool = False
    allowed_after: int = ANY


def collate(draw: Draw, layout: Literal["joined", "per_turn"]) -> Batch:
    """The batch of a draw. Raises ValueError for an empty draw, or one whose picks hold no turn at all."""
    if not draw:
        raise ValueError("an update needs at least one pick: the memory drew none.")
    sets: Sets = {}
    rows_E = [_rows_of(pick, layout, sets) for pick in draw]
    rows, episode_B = _flat(rows_E), [e for e, its_rows in enumerate(rows_E) for _ in its_rows]
    if not rows:
        raise ValueError("no episode of this update has a turn: there is nothing to learn from.")
    width = max(len(row.tokens) + row.has_bootstrap for row in rows)
    return Batch(
        **_slots(rows, width, sets),
        next_BT=_next(rows, episode_B, width),
        **_rows(draw, rows, episode_B),
        **_picks(draw),
    )


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


def _rows_of(pick: Pick, layout: str, sets: Sets) -> list[_Row]:
    """The rows of one pick, with its bootstrap slot."""
    episode, is_scored = pick.episode, not isinstance(pick.episode.reward, Unscored)
    first = 0 if pick.turn is None else pick.turn
    last = len(episode.turns) if pick.turn is None else first + pick.length
    if not 0 <= first <= last <= len(episode.turns):
        raise ValueError(f"episode {episode.id} has {len(episode.turns)} turns; turns {first} to {last} were picked.")
    rewards = iter(_rewards(episode, first, last, is_scored))
    offset = episode.first_actions[first]
    rows: list[_Row] = []
    for i in range(first, last):
        turn = episode.turns[i]
        row = _row_for(turn.prompt, rows, layout, i, offset)
        _append(row, turn, islice(rewards, len(turn.completion.tokens)), sets)
        offset += len(turn.completion.tokens)
    following, choices = _bootstrap(episode, last)
    if following and any(row.actions for row in rows):
        row = _row_for(following, rows, layout, last, offset)
        row.has_bootstrap = True
        row.allowed_after = _first(choices, sets)
    return rows


def _bootstrap(episode: Episode, last: int) -> tuple[Tokens, Choices | None]:
    """The prompt of the next decision after the picked turns, where a value stands for it, and its choices; empty if
    there is none."""
    for turn in episode.turns[last:]:
        if turn.completion.tokens:
            return turn.prompt, turn.choices
    return (episode.final, episode.final_choices) if episode.end is End.TRUNCATED else ((), None)


def _row_for(prompt: Tokens, rows: list[_Row], layout: str, turn: int, offset: int) -> _Row:
    """The last row, grown to `prompt`, if the prompt extends what stands there; else a new one, which is appended."""
    if rows and layout != "per_turn":
        stood = rows[-1].tokens
        if list(prompt[: len(stood)]) == stood:
            stood.extend(prompt[len(stood) :])
            return rows[-1]
    rows.append(_Row(turn=turn, offset=offset, tokens=list(prompt)))
    return rows[-1]


def _append(row: _Row, turn: Turn, rewards: Iterable[float], sets: Sets) -> None:
    tokens, logprobs = turn.completion.tokens, turn.completion.logprobs
    row.actions.extend(range(len(row.tokens), len(row.tokens) + len(tokens)))
    row.tokens.extend(tokens)
    row.logprobs.extend(logprobs if logprobs is not None else [math.nan] * len(tokens))
    row.rewards.extend(rewards)
    along = None if turn.choices is None else turn.choices.along(tokens)
    row.allowed.extend([ANY] * len(tokens) if along is None else [_number(allowed, sets) for allowed in along])


def _number(allowed: Tokens, sets: Sets) -> int:
    """The number of a set of tokens, which is noted if it is new."""
    return sets.setdefault(allowed, len(sets))


def _first(choices: Choices | None, sets: Sets) -> int:
    """The number of what may stand first."""
    return ANY if choices is None else _number(choices.after(()), sets)


def _slots(rows: list[_Row], width: int, sets: Sets) -> dict[str, Tensor]:
    """The numbers of each slot [B, T], and the sets of allowed tokens. Flat lists of all rows go in at once: a draw of
    turns has many short rows."""
    stands_BT = torch.arange(width) < torch.tensor([len(row.tokens) for row in rows]).unsqueeze(1)
    action_BT = torch.zeros(len(rows), width, dtype=torch.bool)
    action_BT.view(-1)[[b * width + t for b, row in enumerate(rows) for t in row.actions]] = True
    return {
        "tokens_BT": _placed(stands_BT, [row.tokens for row in rows], 0, torch.long),
        "action_BT": action_BT,
        "logprobs_BT": _placed(action_BT, [row.logprobs for row in rows], math.nan, torch.float64),
        "rewards_BT": _placed(action_BT, [row.rewards for row in rows], 0.0, torch.float64),
        "allowed_BT": _allowed(action_BT, rows),
        "allowed_SK": padded(list(sets)),  # a dict keeps the order of their numbers
    }


def _allowed(action_BT: Tensor, rows: list[_Row]) -> Tensor:
    """The number of the set of allowed tokens at each decision [B, T]."""
    allowed_BT = _placed(action_BT, [row.allowed for row in rows], ANY, torch.long)
    for b, row in enumerate(rows):
        if row.allowed_after != ANY:
            allowed_BT[b, len(row.tokens)] = row.allowed_after
    return allowed_BT


def _placed(mask_BT: Tensor, lists: Iterable[list[T]], empty: float, dtype: torch.dtype) -> Tensor:
    """The numbers of all rows, in order, where the mask is set; `empty` elsewhere."""
    placed_BT = torch.full(mask_BT.shape, empty, dtype=dtype)
    placed_BT[mask_BT] = torch.tensor(_flat(lists), dtype=dtype)
    return placed_BT


def _next(rows: list[_Row], episode_B: list[int], width: int) -> Tensor:
    """The next decision of each slot [B, T], as a flat index."""
    next_BT = torch.full((len(rows), width), NO_BOOTSTRAP)
    if links := list(_links(rows, episode_B, width)):
        from_N, to_N = torch.tensor(links).unbind(1)
        next_BT.view(-1)[from_N] = to_N
    return next_BT


def _rows(draw: Draw, rows: list[_Row], episode_B: list[int]) -> dict[str, Tensor]:
    """The numbers of each row [B]."""
    return {
        "version_B": torch.tensor([draw[e].episode.version for e in episode_B]),
        "episode_B": torch.tensor(episode_B),
        "turn_B": torch.tensor([row.turn for row in rows]),
        "offset_B": torch.tensor([row.offset for row in rows]),
    }


def _picks(draw: Draw) -> dict[str, Tensor]:
    """The numbers of each pick [E], and what each reward gave it [E, K]."""
    sources, returns = tuple(Source), [pick.episode.reward for pick in draw]
    weights = [0.0 if isinstance(r, Unscored) else pick.weight for r, pick in zip(returns, draw, strict=True)]
    parts_EK, part_weight_K = _parts([pick.episode for pick in draw])
    return {
        "source_E": torch.tensor([sources.index(pick.episode.source) for pick in draw]),
        "group_E": torch.tensor([pick.episode.group for pick in draw]),
        "return_E": torch.tensor([math.nan if isinstance(r, Unscored) else r for r in returns], dtype=torch.float64),
        "weight_E": torch.tensor(weights, dtype=torch.float64),
        "cut_E": torch.tensor([pick.episode.is_cut for pick in draw]),
        "parts_EK": parts_EK,
        "part_weight_K": part_weight_K,
    }


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
