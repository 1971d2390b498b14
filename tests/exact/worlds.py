"""Classic problems as tables, from their published rules; their optima are known from elsewhere."""

from __future__ import annotations

import itertools

import numpy as np

from strop.planning.mdp import FiniteMDP

LAKE_4 = ("SFFF", "FHFH", "FFFH", "HFFG")
LAKE_8 = ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG")
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up


def frozen_lake(rows: tuple[str, ...], slippery: bool = True) -> FiniteMDP:
    """FrozenLake-v1: reward 1 at the goal; on ice a third each goes as meant and to both sides of it."""
    size = len(rows)
    P, R = np.zeros((size**2, 4, size**2)), np.zeros((size**2, 4, size**2))
    for y, x, action in itertools.product(range(size), range(size), range(4)):
        for way in ((action - 1) % 4, action, (action + 1) % 4) if slippery else (action,):
            down, right = MOVES[way]
            to = min(max(y + down, 0), size - 1) * size + min(max(x + right, 0), size - 1)
            P[y * size + x, action, to] += 1 / 3 if slippery else 1.0
    ground = np.array(list("".join(rows)))
    R[:, :, ground == "G"] = 1.0
    return FiniteMDP(P, R, ground == "S", np.isin(ground, ["H", "G"]))


def cliff_walking() -> FiniteMDP:
    """CliffWalking-v1, 4 x 12: -1 a step, -100 and back to the start off the cliff; the corner ends it."""
    P, R = np.zeros((48, 4, 48)), np.full((48, 4), -1.0)
    for y, x, action in itertools.product(range(4), range(12), range(4)):
        down, right = MOVES[action]
        to = min(max(y + down, 0), 3) * 12 + min(max(x + right, 0), 11)
        if 36 < to < 47:
            to, R[y * 12 + x, action] = 36, -100.0
        P[y * 12 + x, action, to] = 1.0
    state_S = np.arange(48)
    return FiniteMDP(P, R, state_S == 36, state_S == 47)


def taxi() -> FiniteMDP:
    """Taxi-v3: states (row, column, passenger 0-3 or 4 in the taxi, destination); 300 of the 500 are starts."""
    stands = ((0, 0), (0, 4), (4, 0), (4, 3))
    walls = {(0, 1), (1, 1), (3, 0), (4, 0), (3, 2), (4, 2)}  # a wall east of (row, column)
    P, R = np.zeros((500, 6, 500)), np.full((500, 6), -1.0)
    start, terminal = np.zeros(500), np.zeros(500, dtype=bool)

    def state(y: int, x: int, passenger: int, destination: int) -> int:
        return ((y * 5 + x) * 5 + passenger) * 4 + destination

    for y, x, passenger, destination in itertools.product(range(5), range(5), range(5), range(4)):
        here = state(y, x, passenger, destination)
        start[here] = passenger < 4 and passenger != destination
        terminal[here] = passenger == destination
        to = [here] * 6
        to[0] = state(min(y + 1, 4), x, passenger, destination)
        to[1] = state(max(y - 1, 0), x, passenger, destination)
        to[2] = here if x == 4 or (y, x) in walls else state(y, x + 1, passenger, destination)
        to[3] = here if x == 0 or (y, x - 1) in walls else state(y, x - 1, passenger, destination)
        if passenger < 4 and (y, x) == stands[passenger]:
            to[4] = state(y, x, 4, destination)
        else:
            R[here, 4] = -10.0
        if passenger == 4 and (y, x) in stands:
            to[5] = state(y, x, stands.index((y, x)), destination)
            R[here, 5] = 20.0 if (y, x) == stands[destination] else -1.0
        else:
            R[here, 5] = -10.0
        P[here, range(6), to] = 1.0
    return FiniteMDP(P, R, start / start.sum(), terminal)
