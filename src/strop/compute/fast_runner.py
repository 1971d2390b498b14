"""The processor's own path, for models like Llama.

Sequences of different lengths are one row of tokens, in which what they begin with stands once (`ragged_attention`). In
decoding, rows of the same prompt share its keys and values (`shared_prompt`). Both multiply by copies of the weights
that suit the processor (`linears`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from strop.compute.decoder_layer import DecoderLayer, RMSNorm
from strop.compute.fast_layer import Attend, FastLayer, Multiply
from strop.compute.linears import Linears, is_linear
from strop.compute.precision import autocast
from strop.compute.prompt_attention import PromptAttention
from strop.compute.ragged_attention import RaggedBatch
from strop.compute.shared_prompt import SharedPromptState, TokenWeights
from strop.types import Tokens

MODEL_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})
"""Model types that `FastLayer` computes; tests compare each with transformers' own forward pass."""


def can_run_fast(model: Any, has_adapter: bool) -> bool:
    """Whether it is a known type, in float32, without an attention window, whose layers are torch's own, with no
    adapter but LoRA of linear layers."""
    config = model.config
    is_known = config.model_type in MODEL_TYPES and config._attn_implementation == "sdpa"
    if not is_known or model.dtype is not torch.float32 or _window(config) is not None:
        return False
    if type(model.get_input_embeddings()) is not nn.Embedding:
        return False
    layers = [module for name, module in model.named_modules() if name.endswith(("_proj", "lm_head"))]
    return all(is_linear(layer) or (has_adapter and _is_lora(layer)) for layer in layers)


@dataclass(frozen=True, slots=True)
class FastRunner:
    """`layers` and `output` multiply for the model; embedding, norms and positions are the model's own modules."""

    model: Any
    dtype: torch.dtype
    layers: Sequence[FastLayer]
    output: Linears

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype) -> FastRunner:
        """A runner of this model, without copies yet."""
        layers = [FastLayer(layer, dtype) for layer in model.base_model.layers]
        return cls(model, dtype, layers, Linears([model.get_output_embeddings()], dtype, is_head=True))

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, SharedPromptState]:
        """Only the logits behind each prompt are computed. Frees the training pass's copies of trainable weights."""
        for linears in self._linears():
            linears.drop_training()
        backbone, head = self.model.base_model, self.output.decoder()
        attend = PromptAttention(RaggedBatch.of_prompts(prompts, self._groups))
        hidden_PH = self._hidden(attend.prompts, Linears.decode, attend)
        with autocast(self.dtype, "cpu"):
            logits_PV = head(hidden_PH)
        layers = [DecoderLayer(layer) for layer in self.layers]
        weights = TokenWeights(backbone, layers, RMSNorm(backbone.norm), head)
        return logits_PV, SharedPromptState.after(weights, attend.keys_and_values, attend.mask_PT)

    def join(self, states: Sequence[SharedPromptState]) -> SharedPromptState:
        """Rows of different prompts and lengths in one pass."""
        return SharedPromptState.join(states)

    def hidden_at(self, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
        """With gradients, frees decoding's copies of trainable weights: they are about to change, and training needs
        the memory."""
        if torch.is_grad_enabled():
            for linears in self._linears():
                linears.drop_decoding()
        ragged = RaggedBatch.of(tokens_BT, decision_BT, self._groups)
        return self._hidden(ragged, Linears.train, ragged.attend)

    def _hidden(self, ragged: RaggedBatch, multiply: Multiply, attend: Attend) -> Tensor:
        """The last hidden state [N, H] of the tokens that predict a decision."""
        backbone = self.model.base_model
        with autocast(self.dtype, "cpu"):
            hidden_1SH = backbone.embed_tokens(ragged.token_S.unsqueeze(0))
            rotation = backbone.rotary_emb(hidden_1SH, ragged.position_S.unsqueeze(0))
            for layer in self.layers:
                hidden_1SH = layer.forward(hidden_1SH, rotation, multiply, attend)
            hidden_NH: Tensor = backbone.norm(hidden_1SH)[0, ragged.before_N]
        return hidden_NH

    def head(self) -> Callable[[Tensor], Tensor]:
        """The head with a gradient to its own weights."""
        return lambda hidden_NH: self.output.train(hidden_NH)[0]

    def without_adapter(self) -> FastRunner:
        """The base model. In training, both share the copies of frozen weights."""
        layers = [layer.without_adapters() for layer in self.layers]
        return replace(self, layers=layers, output=self.output.without_adapters())

    @property
    def _groups(self) -> int:
        """How many query heads share a key head."""
        groups: int = self.model.config.num_attention_heads // self.model.config.num_key_value_heads
        return groups

    def _linears(self) -> list[Linears]:
        return [*(linears for layer in self.layers for linears in layer.linears), self.output]


def _window(config: Any) -> int | None:
    """How many tokens back a layer attends to; None where it attends to all of them."""
    limit: int | None = getattr(config, "sliding_window", None)
    return limit if getattr(config, "use_sliding_window", True) else None


def _is_lora(module: nn.Module) -> bool:
    from peft.tuners.lora import LoraLayer

    return isinstance(module, LoraLayer) and is_linear(module.get_base_layer())
