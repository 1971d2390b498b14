"""A `Sampling` as the fields of a request."""

from __future__ import annotations

from typing import Any

from strop.types import Sampling

HOTTEST = 2.0
"""The highest temperature that such an API takes."""


def sampling_fields(sampling: Sampling) -> dict[str, Any]:
    """temperature, top_p and max_tokens. Raises ValueError for what such an API has no field for."""
    if sampling.epsilon or sampling.top_k:
        raise ValueError(
            f"sampling.epsilon={sampling.epsilon}, sampling.top_k={sampling.top_k}: an OpenAI-compatible endpoint has "
            "neither. Set both to 0; sampling.temperature and sampling.top_p it knows."
        )
    assert not callable(sampling.temperature), "sampling.at(step) comes first"
    if sampling.temperature > HOTTEST:
        raise ValueError(
            f"sampling.temperature={sampling.temperature:g}: an OpenAI-compatible endpoint takes at most {HOTTEST:g}."
        )
    return {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
