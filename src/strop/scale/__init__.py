"""Where episodes are played: in this process, with completions over HTTP, or by replicas that Ray places."""

from __future__ import annotations

from strop.scale.engines import Embedded, Http, Ray

__all__ = ["Embedded", "Http", "Ray"]


def __dir__() -> list[str]:
    return __all__
