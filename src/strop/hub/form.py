"""The forms of language models: which of them a folder holds, and which policy is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeAlias

Form: TypeAlias = Literal["causal", "sequence to sequence"]
POLICIES: dict[Form, str] = {
    "causal": "strop.policies.Transformer.Config(model=...)",
    "sequence to sequence": "strop.policies.EncoderDecoder.Config(model=...)",
}


def form_in(name: str) -> Form:
    """The form of the model in a folder, as its config.json says; causal where there is nothing to read yet (a Hub id)
    or the file is damaged, which loading it explains."""
    folder = Path(name).expanduser()
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "causal"
    is_pair = isinstance(config, dict) and config.get("is_encoder_decoder") is True
    return "sequence to sequence" if is_pair else "causal"


def check_form(place: Path | str, config: Any, form: Form) -> None:
    """Raise ValueError for the config of a model of another form."""
    found: Form = "sequence to sequence" if config.is_encoder_decoder else "causal"
    if found != form:
        raise ValueError(
            f"{place} holds a {found} model ({config.model_type}), and this policy is of a {form} one: set "
            f"policy={POLICIES[found]}."
        )
