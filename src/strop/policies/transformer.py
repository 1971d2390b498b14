"""Any Hugging Face causal language model as a policy: pretrained or from scratch, all weights or LoRA."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.codec import HFCodec
from strop.compute.decoder import DecodingState, decoding_state
from strop.compute.fused_model import FusedModel, fuse_exactly, fuse_in_bfloat16
from strop.compute.lora_linear import fuse_lora
from strop.compute.output_head import ChunkedHeads
from strop.compute.padded_decoder import PaddedState, autocast
from strop.compute.ragged_attention import hidden_at_decisions
from strop.compute.training_linear import fuse_for_training
from strop.hub.card import Card
from strop.hub.export import export
from strop.hub.pretrained import load
from strop.policies._heads import LOGITS, scatter
from strop.policies.adapter_off import AdapterOff
from strop.policies.adapters import LoRA, adapters_off, add_lora, merged_state_dict
from strop.policies.demands import require_values
from strop.types import (
    Batch,
    Codec,
    ComputesOn,
    Policy,
    PolicyConfig,
    Reduce,
    State,
    Tokens,
    Want,
    WeightsLock,
    check_fields,
)

VALUE_HEAD = "value_head"


class Transformer:
    """A causal LM without dropout, whose logits are computed in chunks and only for decisions.

    With `has_adapter` only the adapter is trained and saved; the reference is the base without it. `dtype` is the
    computing type: float32, or bfloat16 by autocast over float32 weights.
    """

    layout: Literal["joined", "per_turn"] = "joined"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options.

        model       "smollm2", a folder, or a Hub id
        lora        the adapter that is trained; none trains all weights
        value_head  adds the value that actor-critic algorithms and reward models read
        """

        computes_on: ClassVar[ComputesOn] = "accelerator"
        model: str = "smollm2"
        lora: LoRA | None = field(default_factory=LoRA)
        value_head: bool = False

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Transformer, HFCodec]:
            """Load the model and add the adapter, which is initialised from the seed."""
            model, codec = load(self.model)
            if self.lora is None:
                move_off_file(model)
            return adapt(model, self.lora, seed, dtype, self.value_head), codec

    def __init__(self, model: Any, has_adapter: bool = False, dtype: str = "float32", value_head: bool = False) -> None:
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype={dtype!r}: a transformer computes in float32 or bfloat16.")
        self.model = model.eval()  # with dropout, log-probs in training would differ from those in sampling
        self.lock = WeightsLock()
        self.has_adapter = has_adapter
        self.dtype = dtype
        self.torch_dtype: torch.dtype = getattr(torch, dtype)
        self.vocabulary: int = model.config.vocab_size
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        self._head = model.get_output_embeddings()
        self.value_head = _zero_head(self._head.weight) if value_head else None
        self.has_values = value_head
        self._base_hash: str | None = None
        self._decoding: FusedModel | None = None
        self._training: FusedModel | None = None
        self._check_head()

    # ------------------------------------------------------------ sampling

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, DecodingState]:
        """Read left-padded prompts; only the last position's logits are computed.

        Frees the training pass's copies of trainable weights, so call backward() on results of `heads` before.
        """
        if self._training is not None:
            self._training.release()
        model = self.decoding_model()
        logits_BV, state = PaddedState.prefill(model, prompts, self.dtype)
        return logits_BV, decoding_state(state, model)

    def decode(self, state: DecodingState, tokens_B: Tensor) -> tuple[Tensor, DecodingState]:
        """Logits after one more token for each row."""
        return state.step(tokens_B), state

    def keep(self, state: DecodingState, rows: Sequence[int]) -> DecodingState:
        """Select rows: finished ones leave, or a group's rows share one prefill. The old state becomes invalid."""
        return state.keep(rows)

    def decoding_model(self) -> Any:
        """The model for decoding: it shares `model`'s tensors, and multiplies by copies that are fast for few rows."""
        if self._decoding is None:
            fuse = partial(fuse_in_bfloat16, head=self._head) if self.dtype == "bfloat16" else fuse_exactly
            lora = partial(fuse_lora, dtype=self.torch_dtype, head=self._head) if self.has_adapter else None
            self._decoding = FusedModel(self.model, fuse, lora)
        self._decoding.refresh()
        return self._decoding.model

    # ------------------------------------------------------------ training

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """The hidden state before every decision, chunk by chunk through the output head.

        A chunk's logits are recomputed in the backward pass, so the largest tensor is one chunk's [N, V].
        """
        if "value" in want:
            require_values(self)
        if torch.is_grad_enabled() and self._decoding is not None:
            self._decoding.release()  # the weights are about to change, and training needs the memory
        decision_BT = batch.decision_BT
        model = self.training_model()
        with autocast(self.dtype):
            hidden_NH = hidden_at_decisions(model.base_model, batch.tokens_BT, decision_BT)
        heads = ChunkedHeads(model.get_output_embeddings(), self.value_head, self.vocabulary, want, reduce)
        found = heads.apply(hidden_NH, batch.tokens_BT[decision_BT])
        return {name: scatter(found_N, decision_BT) for name, found_N in found.items()}

    def training_model(self) -> Any:
        """The model for training: it shares `model`'s tensors, and multiplies with `compute/training_linear.py`."""
        if self._training is None:
            fuse = partial(fuse_for_training, dtype=self.torch_dtype, head=self._head)
            self._training = FusedModel(self.model, fuse)
        self._training.refresh()
        return self._training.model

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """Switch the adapter of `training_model()` off within this context."""
        with adapters_off(self.training_model()):
            yield

    def reference(self) -> Transformer | AdapterOff:
        """The reference policy: the base with the adapter off, or a frozen copy."""
        if self.has_adapter:
            return AdapterOff(self)
        frozen = Transformer(copy.deepcopy(self.model), dtype=self.dtype)
        frozen.model.requires_grad_(False)
        return frozen

    def export(self, codec: Codec, folder: Path, card: Card) -> float:
        """Write a Hugging Face folder with the adapter merged; returns the largest difference of its logits."""
        return export(self.model, merged_state_dict(self.model), codec, folder, card)

    def twin(self) -> Transformer:
        """A copy with trainable tensors of its own; frozen ones (the base under an adapter) are shared."""
        trains = {id(parameter) for parameter in self.parameters()}
        shared: dict[int, Any] = {id(p): p for p in self.model.parameters() if id(p) not in trains}
        return copy.deepcopy(self, shared | {id(self._decoding): None, id(self._training): None})

    def parameters(self) -> list[Parameter]:
        """The trainable tensors in the model's order; the value head comes last."""
        return list(self._trainable().values())

    def _trainable(self) -> dict[str, Parameter]:
        named = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if self.value_head is not None:
            named |= {f"{VALUE_HEAD}.{name}": p for name, p in self.value_head.named_parameters()}
        return named

    # ------------------------------------------------------------ saving

    def state_dict(self) -> State:
        """The trainable tensors by name, and for an adapter the hash of its base."""
        trainable = {name: p.detach() for name, p in self._trainable().items()}
        return {"trainable": trainable, "base": self.base_hash() if self.has_adapter else ""}

    def load_state_dict(self, state: State) -> None:
        """Restore in place, so that optimisers keep pointing at the same parameters."""
        if self.has_adapter and state["base"] != self.base_hash():
            raise ValueError("this adapter was trained on another base model: the base's weights differ. Restore them.")
        own = self._trainable()
        if own.keys() != state["trainable"].keys():
            raise ValueError(f"the saved weights name other tensors: {_difference(own, state['trainable'])}.")
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(state["trainable"][name])

    def base_hash(self) -> str:
        """SHA-256 of every frozen tensor. Computed once: frozen tensors do not change."""
        if self._base_hash is None:
            digest = hashlib.sha256()
            for name, parameter in self.model.named_parameters():
                if not parameter.requires_grad:
                    digest.update(name.encode())
                    digest.update(parameter.detach().contiguous().view(torch.uint8).numpy().data)
            self._base_hash = digest.hexdigest()
        return self._base_hash

    @torch.no_grad()
    def _check_head(self) -> None:
        """Refuse a model that changes its logits after the output head: its log-probs would be wrong."""
        tokens_1T = torch.tensor([[1 % self.vocabulary, 2 % self.vocabulary]])
        direct = self._head(self.model.base_model(input_ids=tokens_1T, use_cache=False).last_hidden_state)
        gap = (direct - self.model(input_ids=tokens_1T, use_cache=False).logits).abs().max().item()
        if gap > 1e-3:
            raise ValueError(
                f"this model changes its logits after the output head (by {gap:.3g}), for example by soft-capping; "
                "strop reads them at the head and cannot train it."
            )


def _zero_head(like: Tensor) -> torch.nn.Linear:
    """A linear value head that starts at 0, in the model's type but at least float32."""
    head = torch.nn.Linear(like.shape[1], 1, dtype=torch.promote_types(like.dtype, torch.float32))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    return head


def adapt(model: Any, lora: LoRA | None, seed: int, dtype: str, value_head: bool = False) -> Transformer:
    """A policy over a loaded model: with LoRA the base is frozen, without it everything trains."""
    if lora is not None:
        model.requires_grad_(False)
        add_lora(model, lora, seed)
    return Transformer(model, has_adapter=lora is not None, dtype=dtype, value_head=value_head)


@torch.no_grad()
def move_off_file(model: Any) -> None:
    """Copy trainable weights out of the mapped file. Changed in place they would be copied page by page in the first
    step, into small pages that stay."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def require_transformer(policy: Policy, sampler: str) -> Transformer:
    """The policy as a Transformer; any other is refused, for samplers that only run language models."""
    if not isinstance(policy, Transformer):
        raise ValueError(
            f"sampler={sampler} runs language models of strop.policies.Transformer, and this policy is a "
            f"{type(policy).__name__}. Sample with strop.samplers.LocalSampler.Config()."
        )
    return policy


def _difference(own: Mapping[str, object], saved: Mapping[str, object]) -> str:
    missing, extra = sorted(own.keys() - saved.keys()), sorted(saved.keys() - own.keys())
    return f"{len(missing)} are missing ({', '.join(missing[:2])}), {len(extra)} are unknown ({', '.join(extra[:2])})"
