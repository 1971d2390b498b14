"""Drive on a motorway of three lanes among other cars, in words or in numbers: highway-env (Leurent 2018).

Needs the package highway-env: `pip install "strop[drive]"`. Nothing is drawn on a screen.
"""

from __future__ import annotations

import importlib
import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strop.environments.gymnasium import SEEDS
from strop.types import End, Step, Task

if TYPE_CHECKING:
    import numpy as np

WHEEL = ("left", "hold", "right", "faster", "slower")
"""The actions, in highway-env's order: change lanes, hold speed and lane, or aim at 5 m/s more or less (20 to 30)."""
HOLD = "hold"
SIDES = ("left", "here", "right")
FARS = ("beside", "tight", "close", "near", "far", "distant", "clear")
METRES = (6.0, 12.0, 24.0, 40.0, 60.0, 80.0)
"""Between these lie the words of `FARS`, from the middle of a car to the middle of the next; a car is 5 m long."""
THEN = 2.0
"""Seconds to the second word of a gap: how far it is if both cars keep their speeds. A lane change takes as long."""
WALL = "wall"
SEEN = 100.0
"""Metres; a car that is further away is not seen."""
SPEED, WAY = 30.0, 10.0
"""Metres a second that are 1 in the vector: of a car, and of a gap."""
NUM_NUMBERS = 17
LANES = 3
FASTEST = 40.0
"""Metres a second of any car in highway-env."""


@dataclass(frozen=True, slots=True)
class Gap:
    """To the nearest car ahead or behind in a lane: how many metres, and by how many a second it grows."""

    metres: float = SEEN
    opening: float = 0.0

    def __str__(self) -> str:
        now, then = (FARS[bisect_right(METRES, metres)] for metres in (self.metres, self.metres + THEN * self.opening))
        return f"{now} then {then}"


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane beside the own car."""

    ahead: Gap = Gap()
    behind: Gap = Gap()


@dataclass(frozen=True, slots=True)
class Scene:
    """What a driver sees: the own speed and the one aimed at (m/s), and the lanes left, here and right.

    None is a lane that is not there.
    """

    speed: float
    aim: float
    lanes: tuple[Lane | None, Lane | None, Lane | None]

    def __str__(self) -> str:
        """In words, of which every scene has 31, each at its place."""
        lines = [f"speed {_fives(self.speed)} aim {_fives(self.aim)}"]
        for side, lane in zip(SIDES, self.lanes, strict=True):
            ahead, behind = (f"{WALL} then {WALL}",) * 2 if lane is None else (lane.ahead, lane.behind)
            lines.append(f"{side} ahead {ahead} behind {behind}")
        return "\n".join(lines)

    @property
    def numbers(self) -> str:
        """As a JSON list of 17 numbers: what the words are made of."""
        found = [self.speed / SPEED, self.aim / SPEED]
        for lane in self.lanes:
            seen = lane or Lane()
            found.append(float(lane is not None))
            for gap in (seen.ahead, seen.behind):
                found += [gap.metres / SEEN, gap.opening / WAY]
        return json.dumps([round(number, 6) for number in found])

    @classmethod
    def of_numbers(cls, text: str) -> Scene:
        """The scene of which `numbers` are the text."""
        speed, aim, *rest = json.loads(text)
        return cls(speed * SPEED, aim * SPEED, (_lane(rest[:5]), _lane(rest[5:10]), _lane(rest[10:])))


def _fives(speed: float) -> int:
    return 5 * round(min(max(speed, 0.0), FASTEST) / 5)


def _lane(numbers: Iterable[float]) -> Lane | None:
    is_there, ahead, opens_ahead, behind, opens_behind = numbers
    return Lane(Gap(ahead * SEEN, opens_ahead * WAY), Gap(behind * SEEN, opens_behind * WAY)) if is_there else None


def scene_of(
    lane: int, speed: float, aim: float, cars: Iterable[tuple[int, float, float]], lanes: int = LANES
) -> Scene:
    """What the driver in `lane` (0 is the leftmost) sees of cars, each of them (lane, metres ahead, speed).

    A car behind is less than 0 metres ahead.
    """
    near: dict[tuple[int, bool], Gap] = {}
    for where, metres, own in cars:
        is_ahead = metres >= 0.0
        key, gap = (where, is_ahead), Gap(abs(metres), own - speed if is_ahead else speed - own)
        if gap.metres < near.get(key, Gap()).metres:
            near[key] = gap
    left, here, right = (
        Lane(near.get((one, True), Gap()), near.get((one, False), Gap())) if 0 <= one < lanes else None
        for one in (lane - 1, lane, lane + 1)
    )
    return Scene(speed, aim, (left, here, right))


class Drive:
    """`task.data`: `turns`, seconds after which it is truncated, one decision each; and if they are given

    scene    highway-env's seed: where the cars are, and how their drivers are; else the dice draw one
    cars     how many others there are (20)
    density  of the cars; 1 is highway-env's, 2 has them at half the distance
    tells    "words" or "numbers"

    A turn pays highway-env's reward, 0 to 1: 2/3, up to 4/15 more for speed (none at 20 m/s, all at 30), and up to
    1/15 more for a lane further right. A crash pays 2/3 less and ends it. Each prompt is the scene alone, and the
    choices are the actions that are possible. Any other text holds. `crashed` stands in a turn's data.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        data = task.data
        self._turns_left, self._tells = int(data["turns"]), data.get("tells", "words")
        if self._tells not in ("words", "numbers") or self._turns_left < 1:
            raise ValueError(
                f"task {task.id}: turns={self._turns_left}, tells={self._tells!r}: it has 1 turn at least, and tells "
                "words or numbers."
            )
        self._road: Any = require_highway("strop.environments.Drive").HighwayEnvFast(
            {
                "observation": {
                    "type": "AttributesObservation",
                    "attributes": ["time"],
                },  # the scene is read by `_seen`
                "lanes_count": LANES,
                "vehicles_count": int(data.get("cars", 20)),
                "vehicles_density": float(data.get("density", 1.0)),
                "duration": self._turns_left,
            }
        )
        self._scene_seed = int(data["scene"] if "scene" in data else rng.integers(SEEDS))

    def start(self) -> Step:
        """The first scene."""
        self._road.reset(seed=self._scene_seed)
        return self._shown(0.0, None)

    def step(self, text: str) -> Step:
        """The scene a second later."""
        self._turns_left -= 1
        word = text.strip() if text.strip() in self._choices() else HOLD
        _, reward, crashed, _, _ = self._road.step(WHEEL.index(word))
        end = End.TERMINATED if crashed else None if self._turns_left else End.TRUNCATED
        return self._shown(float(reward), end, crashed=bool(crashed))

    def close(self) -> None:
        """Free the road."""
        self._road.close()

    def _choices(self) -> tuple[str, ...]:
        possible = set(self._road.action_type.get_available_actions())
        return tuple(word for number, word in enumerate(WHEEL) if number in possible)

    def _shown(self, reward: float, end: End | None, **data: bool) -> Step:
        scene = self._seen()
        text = str(scene) if self._tells == "words" else scene.numbers
        return Step(text, reward, end, data=data, replaces=True, choices=self._choices())

    def _seen(self) -> Scene:
        own = self._road.vehicle
        cars = (
            (other.lane_index[2], float(other.position[0] - own.position[0]), float(other.speed))
            for other in self._road.road.vehicles
            if other is not own
        )
        return scene_of(own.lane_index[2], float(own.speed), float(own.target_speed), cars)


def require_highway(what: str) -> Any:
    """highway-env's module of motorways, or a ModuleNotFoundError that says how to install it."""
    try:
        return importlib.import_module("highway_env.envs.highway_env")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{what} needs the package highway-env: pip install "strop[drive]"') from error


def examples() -> list[tuple[Task, list[str], float]]:
    """None: a drive without a crash ends by the clock, and what it earns is highway-env's own sum."""
    return []
