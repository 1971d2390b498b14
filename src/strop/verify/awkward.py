"""Edge-case episodes for the slow references: as records, and as plain lists (`Story`).

Turns that extend the history and turns that rewrite it, tokens of the environment in between, unequal lengths and
weights, Unscored and FAILED members, ties, a group that ties as a whole, a group with one scored member, a
cut answer, time-outs, a turn and an episode without actions, and log-probs of another distribution than the
learner's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from strop.types import Completion, End, Episode, Part, Pick, Sampling, Source, Tokens, Turn, Unscored
from strop.verify.chunked import Numbers
from strop.verify.episodes import episode

SAMPLING = Sampling(temperature=0.7, epsilon=0.2, max_tokens=4)
"""The sampling that the episodes were played with."""
ACTED = Numbers.random(seed=3)
"""The policy that played the episodes (mu): not the one that learns."""


@dataclass(frozen=True, slots=True)
class Act:
    """One action: the tokens before it, the recorded log-prob, and its reward.

    `opening` counts the tokens before the first act of its row.
    """

    prefix: Tokens
    token: int
    acted: float
    reward: float
    opening: int


@dataclass(frozen=True, slots=True)
class Story:
    """A pick as plain lists: its acts in order. `behind` is the prefix whose value is bootstrapped after the last act
    (empty: none). `total` is the whole episode's reward, None where it is Unscored; then the weight is 0. `gave` holds
    the value and the weight of each reward by name; the environment's own has the name ""."""

    acts: list[Act]
    behind: Tokens
    total: float | None
    weight: float
    group: int
    version: int
    is_cut: bool
    source: Source
    gave: dict[str, tuple[float, float]]

    @property
    def after(self) -> list[Tokens]:
        """The prefix of the decision after each act; empty where nothing follows."""
        return [*(act.prefix for act in self.acts[1:]), self.behind][: len(self.acts)]


def said(prompt: Tokens, tokens: Tokens, reward: float = 0.0, is_known: bool = True, is_cut: bool = False) -> Turn:
    """A turn whose log-probs are those of ACTED under SAMPLING."""
    places = [(*prompt, *tokens[:t]) for t in range(len(tokens))]
    distributions = ACTED.distributions(places, SAMPLING).log().tolist()
    logprobs = (
        tuple(distribution[token] for distribution, token in zip(distributions, tokens, strict=True))
        if is_known
        else None
    )
    return Turn(prompt, Completion(tokens, logprobs, "length" if is_cut else "stop"), "", reward)


def episodes() -> list[Episode]:
    """Four groups, their numbers out of order."""
    steps = {
        "steps": Part(0.5, 1.1, tokens=(0.2, -0.4, 1.3)),
        "turns": Part(2.0, -0.1, turns=(0.3, -0.4)),
        "gold/x": Part(0.0, 5.0),
    }
    late = {"late": Part(0.7, 0.9)}
    found = [
        episode(said((1,), (2, 3), 0.3), said((1, 2, 3, 0), (1,)), group=7, parts=steps),
        episode(said((1,), (0,)), said((2,), (3, 1, 2), -0.6), reward=0.1, group=7),
        episode(
            said((1,), (3, 3, 1, 0), is_cut=True), group=7, reward=1.2, end=End.TRUNCATED, final=(1, 3, 3, 1, 0, 2)
        ),
        episode(said((1,), (2, 0), is_known=False), group=7, reward=Unscored("judge")),
        episode(said((1,), ()), group=7, reward=-0.2),
        episode(said((1,), (0, 2)), group=7, reward=1 / 3),
        episode(said((1,), (1, 3, 2)), group=7, reward=1 / 3),
        episode(said((2, 0), (1, 2, 0)), group=3, reward=1 / 3),
        episode(
            said((2, 0), (1,), 0.4), said((2, 0, 1, 3), (0, 2)), said((2, 0, 1, 3, 0, 2, 1), (), 0.15),
            said((3,), (3, 1), -0.25), group=3, parts=late, end=End.TRUNCATED, final=(0, 1),
        ),
        episode(said((2, 0), (2, 2)), group=3, reward=1.0, end=End.FAILED),
        episode(group=3, reward=1.0, end=End.FAILED),
        episode(said((2, 0), (3, 0, 1)), group=3, reward=2 / 3),
        episode(said((3,), (0,)), group=5, reward=0.6),
        episode(said((3,), (1, 0, 2), is_cut=True), group=5, reward=0.6),
        episode(said((0,), (2, 1)), group=9, reward=-1.1),
        episode(said((0,), (1,)), group=9, reward=Unscored("judge")),
    ]  # fmt: skip
    return [replace(one, id=str(i), version=(6, 6, 5, 6, 6, 4, 6, 3, 6)[i % 9]) for i, one in enumerate(found)]


WEIGHTS = (1.0, 2.0, 0.5, 1.0, 1.0, 1.0, 0.7, 2.0, 1.0, 1.0, 1.0, 0.4, 1.0, 1.5, 1.0, 1.0)


def picks() -> list[Pick]:
    """The whole episodes, with unequal weights."""
    return [Pick(one, weight=weight) for one, weight in zip(episodes(), WEIGHTS, strict=True)]


def written() -> list[Pick]:
    """The same as data; one of them has the weight 0."""
    found = [replace(pick, episode=replace(pick.episode, source=Source.DATA)) for pick in picks()]
    return [replace(pick, weight=0.0) if i == 6 else pick for i, pick in enumerate(found)]


def parts() -> list[Pick]:
    """The same for algorithms that learn from a memory: some picks are single turns of an episode."""
    every = picks()
    joined, rewritten, long = every[0].episode, every[1].episode, every[8].episode
    return [
        *every,
        Pick(joined, turn=0, weight=0.8), Pick(joined, turn=1, weight=1.2), Pick(rewritten, turn=0),
        Pick(long, turn=0, length=2, weight=0.6), Pick(long, turn=1, length=2), Pick(long, turn=3),
    ]  # fmt: skip


def read(pick: Pick) -> Story:
    """The Story of a pick, by the rules in the documentation of the records, turn by turn."""
    one = pick.episode
    first = 0 if pick.turn is None else pick.turn
    last = len(one.turns) if pick.turn is None else first + pick.length
    total = one.reward
    is_scored = not isinstance(total, Unscored)
    paid = rewards(one, first, last) if is_scored else []
    acts: list[Act] = []
    history, opening = None, 0
    for turn in one.turns[first:last]:
        if history is None or turn.prompt[: len(history)] != history:  # a row of its own
            opening = -1
        for t, token in enumerate(turn.completion.tokens):
            prefix = (*turn.prompt, *turn.completion.tokens[:t])
            opening = len(prefix) if opening < 0 else opening
            known = turn.completion.logprobs
            reward = paid[len(acts)] if is_scored else 0.0
            acts.append(Act(prefix, token, 0.0 if known is None else known[t], reward, opening))
        history = (*turn.prompt, *turn.completion.tokens)
    following = [turn.prompt for turn in one.turns[last:] if turn.completion.tokens]
    behind = following[0] if following else one.final if one.end is End.TRUNCATED else ()
    weight = pick.weight if is_scored else 0.0
    known_total = None if isinstance(total, Unscored) else total
    return Story(acts, behind, known_total, weight, one.group, one.version, one.is_cut, one.source, gave(one))


def gave(one: Episode) -> dict[str, tuple[float, float]]:
    """Value and weight of every reward of an episode that is scored and has a weight."""
    if one.end is End.FAILED:
        return {}
    found = {"": (sum(turn.reward for turn in one.turns), 1.0)}
    for name, part in one.parts.items():
        if part.weight and not isinstance(part.total, Unscored):
            found[name] = (part.total, part.weight)
    return found


def rewards(one: Episode, first: int, last: int) -> list[float]:
    """The reward of each act of turns [first, last): a turn's reward on its last act, or on the act before where it has
    none; a part's reward per token, per turn, or in one on the episode's last act."""
    paid = [0.0 for turn in one.turns for _ in turn.completion.tokens]
    owner = [i for i, turn in enumerate(one.turns) for _ in turn.completion.tokens]
    for i, turn in enumerate(one.turns):
        before = [place for place, j in enumerate(owner) if j <= i]
        if before:
            paid[before[-1]] += turn.reward
            paid[before[-1]] += sum(part.weight * part.turns[i] for part in one.parts.values() if part.turns)
    for part in one.parts.values():
        for place in range(len(paid)):
            paid[place] += part.weight * part.tokens[place] if part.tokens else 0.0
        if paid and not part.tokens and not part.turns:
            assert not isinstance(part.total, Unscored)
            paid[-1] += part.weight * part.total
    return [reward for reward, i in zip(paid, owner, strict=True) if first <= i < last]


def stories(some: Sequence[Pick]) -> list[Story]:
    """All of them, in order."""
    return [read(pick) for pick in some]
