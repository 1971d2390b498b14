"""Where episodes are played: in this process, with completions over HTTP, or by replicas that Ray places."""

from __future__ import annotations

from strop.scale.engines import VLLM, Embedded, Http, Ray

__all__ = ["VLLM", "Embedded", "Http", "Ray"]


def __dir__() -> list[str]:
    return __all__
