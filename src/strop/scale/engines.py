"""The two kinds of `TrainConfig.engine`. Neither imports ray."""

from __future__ import annotations

import math
from dataclasses import dataclass

from strop.functional.bounds import check_at_least
from strop.types import Batching, check_fields

MOST_STALENESS = 4
"""Versions that episodes may be behind. Further behind, learning suffers more than what is gained by not waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Episodes are played in the process that learns.

    batch  what is decoded together: step for all tasks of a step, which is faster; group for one task's group after
           the other, as a replica of Ray decodes them: then both engines give the same bits
    """

    batch: Batching = "step"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batch not in ("step", "group"):
            raise ValueError(f"engine.batch={self.batch!r}: allowed are step, group.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """Episodes are played by replicas, which Ray places: actors that hold a copy of the policy and play whole groups.

    address          of the cluster to join (auto, host:port); none starts one on this machine for this run
    replicas         how many play beside each other
    staleness        most versions that episodes may be behind the policy that learns from them; 0 waits for the newest
    unit_seconds     time limit for one task's group; after it the replica is replaced, and the group played again
    start_seconds    time limit for the start of the cluster, and of the first replica
    most_losses      replicas that may be lost within ten minutes; one more stops the run
    """

    address: str | None = None
    replicas: int = 2
    staleness: int = 0
    unit_seconds: float = 600.0
    start_seconds: float = 120.0
    most_losses: int = 10

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("engine.replicas", self.replicas, 1)
        check_at_least("engine.most_losses", self.most_losses, 0)
        if not 0 <= self.staleness <= MOST_STALENESS:
            raise ValueError(
                f"engine.staleness={self.staleness}: it is 0 (every episode is of the newest policy) to "
                f"{MOST_STALENESS}; episodes of older policies cost more quality than their speed is worth."
            )
        for name in ("unit_seconds", "start_seconds"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"engine.{name}={getattr(self, name)}: it is positive and finite.")
