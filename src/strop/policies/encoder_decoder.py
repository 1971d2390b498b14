"""Any Hugging Face sequence-to-sequence model as a policy: an encoder reads the prompt, a decoder writes the answer.

Source: Sutskever et al. 2014 (1409.3215); with attention Bahdanau et al. 2015 (1409.0473); as a transformer Vaswani et
al. 2017 (1706.03762), section 3.1. The models are transformers' own: T5 (1910.10683), BART (1910.13461), Marian
(1804.00344) and others of their kind.

    e = encoder(prompt),    pi(a_t | prompt, a_<t) = softmax(head(decoder(start, a_1 .. a_{t-1}; e)))

The encoder sees the whole prompt, in both directions; every action attends to all of it. The prompt is read once for
all answers of its group, while sampling and in an update. A turn's prompt is the whole conversation so far: each turn
is a row of its own.

Differs from the papers: without dropout, since log-probs in an update are those of what was sampled. What the decoder
always starts with (the model's start token, and a forced first token where its generation config names one) is no
action, and a token that this config forbids (Marian's padding) has probability 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from strop.compute.runner import Runner
from strop.compute.sequence_runner import SequenceRunner
from strop.hub.pretrained import loaded
from strop.hub.sequence import first_tokens
from strop.policies._sources import SourceCodec
from strop.policies._weights import move_off_file
from strop.policies.transformer import Transformer
from strop.types import check_fields


class EncoderDecoder(Transformer):
    """A `Transformer` whose prompt is the encoder's input, and whose actions are the decoder's tokens.

    Full weights or LoRA, values on the decoder, and the reference are as there. Where the model has a table of
    positions, `context` bounds prompt and answer together.
    """

    layout: Literal["joined", "per_turn"] = "per_turn"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Transformer.Config):
        """Its options.

        model       a folder, or a Hub id
        lora        the adapter that is trained; none trains all weights
        value_head  adds the value that actor-critic algorithms and reward models read
        prompts     how prompts are written: by the model's chat template, if it has one, or plain
        """

        model: str

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[EncoderDecoder, SourceCodec]:
            """Load the model and add the adapter, which is initialised from the seed."""
            model, tokenizer, stop = loaded(self.model, "sequence to sequence")
            self.prompts.put_into(tokenizer)
            if self.lora is None and device == "cpu":
                move_off_file(model)
            return EncoderDecoder.of(model, self.lora, seed, dtype, self.value_head, device), SourceCodec(
                tokenizer, stop
            )

    def _runner(self, dtype: torch.dtype) -> Runner:
        """What computes the model. Raises ValueError for one whose logits are not read at its output head."""
        has_products = not self._is_plain and self.model.device.type == "cpu"
        return SequenceRunner.of(self.model, dtype, first_tokens(self.model), has_products)
