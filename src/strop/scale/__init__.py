"""Where episodes are played: in this process, or by replicas that Ray places on one machine or many."""

from __future__ import annotations

from strop.scale.engines import Embedded, Ray

__all__ = ["Embedded", "Ray"]


def __dir__() -> list[str]:
    return __all__
