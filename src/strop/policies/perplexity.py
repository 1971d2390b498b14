"""A frozen language model as a measure of fluency: from texts to nats a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Mean negative log-likelihood a token of a bare text under a pretrained model, loaded at the first call.

    The text follows only the start-of-text token, without a chat template: this measures how natural it is, not how
    likely as an answer. The model is a separate copy, which training never changes.
    """

    model: str = "smollm2"
    start: str = "<|endoftext|>"

    def __call__(self, texts: Sequence[str]) -> list[float]:
        """Nats a token of each text. Raises ValueError for a text without tokens."""
        tokenizer, model = _loaded(self.model)
        first = tokenizer.convert_tokens_to_ids(self.start)
        return [_nats(model, [first, *tokenizer(text, add_special_tokens=False)["input_ids"]]) for text in texts]


def _nats(model: Any, tokens: list[int]) -> float:
    import torch

    if len(tokens) < 2:
        raise ValueError("a text without any token has no perplexity.")
    tokens_1T = torch.tensor([tokens])
    with torch.inference_mode():
        logprobs_TV = torch.log_softmax(model(input_ids=tokens_1T).logits[0, :-1].float(), dim=-1)
    return -float(logprobs_TV.gather(1, tokens_1T[0, 1:, None]).mean())


@cache
def _loaded(name: str) -> tuple[Any, Any]:
    from strop.hub.pretrained import load

    model, codec = load(name)
    return codec.tokenizer, model.eval().requires_grad_(False)
