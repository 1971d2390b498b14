"""When a request began, as the stores count it: what a person has on its way while they are forgotten is not kept."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

MOMENT = "strop.moment"
"""Where a request's scope says it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How often people had been forgotten, as each store counts it; None where there is no such store."""

    feedback: int | None = None
    memory: int | None = None


def moment_of(request: Request) -> Moment:
    """Before the body of this request was read."""
    moment: Moment = request.scope[MOMENT]
    return moment
