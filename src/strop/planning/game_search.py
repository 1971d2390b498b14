"""Tree search in games for two, by the results of random games (UCT).

Kocsis & Szepesvari 2006; Coulom 2006. A simulation walks from the position by

    argmax_m  W(m) / N(m) + exploration * sqrt(ln N / N(m))

through moves that were all tried, adds one position to the tree, plays it to its end at random, and counts the result
for each move on the way, for the player who made it. The most visited move is played.

Differs from `TreeSearch` (mcts.py), which writes a text: there one writer maximises at every token, here two players
do in turn. No policy and no values are needed.
Degenerates: with few simulations it plays as the random games say, which know no threats; the result converges to that
of `game_value` with their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from strop.functional.bounds import check_at_least
from strop.types import Position

P = TypeVar("P", bound=Position)
Playout = Callable[[P, np.random.Generator], float]
"""What the player to move scores in a game that is played to its end from a position."""


@dataclass(slots=True)
class _Node(Generic[P]):
    """A position in the tree: what was tried from it, and what its own player to move has scored in all."""

    position: P
    untried: list[str]
    children: dict[str, _Node[P]] = field(default_factory=dict)
    visits: int = 0
    scored: float = 0.0


def random_playout(position: Position, rng: np.random.Generator) -> float:
    """The score of random moves, for the player to move."""
    turn = 0
    while moves := position.moves:
        position, turn = position.after(moves[int(rng.integers(len(moves)))]), turn + 1
    return position.score if turn % 2 == 0 else 1.0 - position.score


def search_game(
    position: P,
    rng: np.random.Generator,
    num_simulations: int = 100,
    exploration: float = 0.7,
    playout: Playout[P] = random_playout,
) -> str:
    """The move that was visited most in so many simulations (ties: the first tried). The game is not over."""
    check_at_least("num_simulations", num_simulations, 1)
    root = _node(position, rng)
    for _ in range(num_simulations):
        _simulate(root, rng, exploration, playout)
    return max(root.children, key=lambda move: root.children[move].visits)


def _node(position: P, rng: np.random.Generator) -> _Node[P]:
    moves = list(position.moves)
    rng.shuffle(moves)
    return _Node(position, moves)


def _simulate(root: _Node[P], rng: np.random.Generator, exploration: float, playout: Playout[P]) -> None:
    path = [root]
    while not path[-1].untried and path[-1].children:
        path.append(_chosen(path[-1], exploration))
    if path[-1].untried:
        node, move = path[-1], path[-1].untried.pop()
        node.children[move] = _node(node.position.after(move), rng)
        path.append(node.children[move])
    score = playout(path[-1].position, rng)
    for node in reversed(path):
        node.visits += 1
        node.scored += score
        score = 1.0 - score


def _chosen(node: _Node[P], exploration: float) -> _Node[P]:
    """The child that is best for the player to move: it scores what the child's own player does not."""
    spread = math.log(node.visits)

    def bound(child: _Node[P]) -> float:
        return 1.0 - child.scored / child.visits + exploration * math.sqrt(spread / child.visits)

    return max(node.children.values(), key=bound)
