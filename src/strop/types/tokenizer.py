"""A tokenizer as a fact: the text of its tokenizer.json."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from strop.types.fields import shown

END_TOKEN = "<end>"
"""The token that stands between documents: it begins one, and ends it."""


@dataclass(frozen=True, slots=True, repr=False)
class Tokenizer:
    """A tokenizer of the `tokenizers` library, which a corpus was read with. `json` is the text of its tokenizer.json.

    A run keeps it in a file of its own. Its vocabulary holds `<end>`.
    """

    json: str

    def __post_init__(self) -> None:
        try:
            model = json.loads(self.json)["model"]["vocab"]
        except (TypeError, ValueError, KeyError):
            raise ValueError(f"Tokenizer.json={shown(self.json)}: it is the text of a tokenizer.json.") from None
        if not isinstance(model, dict) or not model:
            raise ValueError("Tokenizer.json: its model has no vocabulary.")

    @property
    def sha256(self) -> str:
        """The hash of its text."""
        return hashlib.sha256(self.json.encode()).hexdigest()

    def __repr__(self) -> str:
        return f"Tokenizer({self.sha256[:12]})"
