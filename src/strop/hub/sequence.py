"""What the config of a sequence-to-sequence model says of writing."""

from __future__ import annotations

from typing import Any

from strop.types import Tokens


def first_tokens(model: Any) -> Tokens:
    """What its decoder always begins with: the start token, and the forced first token where there is one (BART's
    `<s>`, a language's code).

    Raises ValueError for a model that names no start token.
    """
    start = _said(model, "decoder_start_token_id")
    if start is None:
        raise ValueError(
            f"the config of this {type(model).__name__} has no decoder_start_token_id: what its decoder reads first is "
            "not known. Set it in config.json, as the model was trained (T5: the padding token; BART: the end token)."
        )
    forced = _said(model, "forced_bos_token_id")
    return (start,) if forced is None else (start, forced)


def _said(model: Any, name: str) -> int | None:
    """A token of the generation config, or else of the model's config; configs hold only what they were given."""
    for config in (model.generation_config, model.config):
        token = None if config is None else config.to_dict().get(name)
        if token is not None:
            assert isinstance(token, int)
            return token
    return None
