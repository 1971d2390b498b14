"""The forms of language models: which of them a folder holds, and which policy is made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

Form: TypeAlias = Literal["causal", "sequence to sequence", "masked"]
POLICIES: dict[Form, str] = {
    "causal": "strop.policies.Transformer.Config(model=...)",
    "sequence to sequence": "strop.policies.EncoderDecoder.Config(model=...)",
    "masked": "strop.policies.MaskedEncoder.Config(model=...)",
}
MASKED = ("ForMaskedLM", "BertForPreTraining")
"""Ends of the names of models that fill in hidden tokens."""


def form_in(name: str) -> Form:
    """The form of the model in a folder, as its config.json says; causal where there is nothing to read yet (a Hub id)
    or the file is damaged, which loading it explains."""
    folder = Path(name).expanduser()
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "causal"
    if not isinstance(config, dict):
        return "causal"
    kinds = config.get("architectures")
    return _form_of(config.get("is_encoder_decoder") is True, kinds if isinstance(kinds, list) else [])


def check_form(place: Path | str, config: Any, form: Form) -> None:
    """Raise ValueError for the config of a model of another form."""
    found = _form_of(config.is_encoder_decoder, config.architectures or [])
    if form == "masked" and _is_encoder(config):  # perhaps saved with another head, which its weights will show
        return
    if found != form:
        raise ValueError(
            f"{place} holds a {found} model ({config.model_type}), and this policy is of a {form} one: set "
            f"policy={POLICIES[found]}."
        )


def _form_of(is_encoder_decoder: bool, kinds: Sequence[object]) -> Form:
    if is_encoder_decoder:
        return "sequence to sequence"
    return "masked" if any(isinstance(kind, str) and kind.endswith(MASKED) for kind in kinds) else "causal"


def _is_encoder(config: Any) -> bool:
    """Whether such a model may have an output head that fills in hidden tokens."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    return not config.is_encoder_decoder and type(config) in MODEL_FOR_MASKED_LM_MAPPING
