"""Any Hugging Face causal language model as a policy: pretrained or from scratch, all weights or LoRA."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.codec import HFCodec
from strop.compute.output_head import ChunkedHeads
from strop.compute.runner import DecodingState, Runner, runner_of
from strop.hub.card import Card
from strop.hub.export import export
from strop.hub.pretrained import load
from strop.policies._heads import LOGITS, scatter
from strop.policies.adapter_off import AdapterOff
from strop.policies.adapters import LoRA, add_lora, merge_in_place, merged_state_dict
from strop.policies.demands import require_values
from strop.process import ALONE
from strop.types import (
    Batch,
    Codec,
    ComputesOn,
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
    computing type: float32, or bfloat16 by autocast over float32 weights. The policy is on the model's device.
    `is_plain` keeps the processor's own path away, to compare with.
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
            if self.lora is None and device == "cpu":
                move_off_file(model)
            return Transformer.of(model, self.lora, seed, dtype, self.value_head, device), codec

    @classmethod
    def of(
        cls, model: Any, lora: LoRA | None, seed: int, dtype: str, value_head: bool = False, device: str = "cpu"
    ) -> Self:
        """A policy over a loaded model: with LoRA the base is frozen, without it everything trains."""
        if lora is not None:
            model.requires_grad_(False)
            add_lora(model, lora, seed)  # on the CPU: random weights are the same on every device
        return cls(model.to(device), has_adapter=lora is not None, dtype=dtype, value_head=value_head)

    def __init__(
        self,
        model: Any,
        has_adapter: bool = False,
        dtype: str = "float32",
        value_head: bool = False,
        is_plain: bool = False,
    ) -> None:
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype={dtype!r}: a transformer computes in float32 or bfloat16.")
        self.model = model.eval()  # with dropout, log-probs in training would differ from those in sampling
        self.lock = WeightsLock()
        self.has_adapter = has_adapter
        self.dtype = dtype
        self.vocabulary: int = model.config.vocab_size
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        self.value_head = _zero_head(model.get_output_embeddings().weight) if value_head else None
        self.has_values = value_head
        self._base_hash: str | None = None
        self._is_plain = is_plain
        self.runner = self._runner(getattr(torch, dtype))

    def _runner(self, dtype: torch.dtype) -> Runner:
        """What computes the model. Raises ValueError for a model that it would compute wrongly."""
        check_head(self.model)
        return runner_of(self.model, dtype, self.has_adapter, self._is_plain)

    # ------------------------------------------------------------ sampling

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, DecodingState]:
        """Read the prompts; only the last position's logits are computed."""
        return self.runner.prefill(prompts)

    def decode(self, state: DecodingState, tokens_B: Tensor) -> tuple[Tensor, DecodingState]:
        """Logits after one more token for each row."""
        return state.step(tokens_B), state

    def keep(self, state: DecodingState, rows: Sequence[int]) -> DecodingState:
        """Select rows: finished ones leave, or a group's rows share one prefill. The old state becomes invalid."""
        return state.keep(rows)

    # ------------------------------------------------------------ training

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """The hidden state before every decision, chunk by chunk through the output head.

        A chunk's logits are recomputed in the backward pass, so the largest tensor is one chunk's [N, V].
        """
        return self.heads_of(self.runner, batch, reduce, want)

    def heads_of(self, runner: Runner, batch: Batch, reduce: Reduce, want: frozenset[Want]) -> dict[str, Tensor]:
        """`heads`, computed by this runner: the policy's own, or that of its base model."""
        if "value" in want:
            require_values(self)
        decision_BT = batch.decision_BT
        hidden_NH = runner.hidden_at(batch.tokens_BT, decision_BT)
        heads = ChunkedHeads(runner.head(), self.value_head, self.vocabulary, want, reduce)
        found = heads.apply(hidden_NH, batch.tokens_BT[decision_BT].to(hidden_NH.device))
        return {name: scatter(found_N, decision_BT) for name, found_N in found.items()}

    def reference(self) -> Self | AdapterOff:
        """The reference policy: the base with the adapter off, or a frozen copy."""
        if self.has_adapter:
            return AdapterOff(self)
        frozen = type(self)(copy.deepcopy(self.model), dtype=self.dtype, is_plain=self._is_plain)
        frozen.model.requires_grad_(False)
        return frozen

    def export(self, codec: Codec, folder: Path, card: Card) -> float:
        """Write a Hugging Face folder with the adapter merged; returns the largest difference of its logits."""
        return export(self.model, merged_state_dict(self.model), codec, folder, card)

    def restarted(self, lora: LoRA | None, seed: int, value_head: bool) -> Self:
        """This policy as the start of another run: its adapter merged into the base, a new one on top.

        A value head stays as it was trained; a new one starts at 0. This object is used up. A base with a merged
        adapter is known by what it was merged from: the bits of the sum are those of one processor.
        """
        merged = _hash_of(dict(self.model.named_parameters())) if self.has_adapter and lora is not None else None
        merge_in_place(self.model)
        new = self.of(self.model, lora, seed, self.dtype, value_head, str(self.model.device))
        new._base_hash = merged
        if new.value_head is not None and self.value_head is not None:
            new.value_head.load_state_dict(self.value_head.state_dict())
        return new

    def twin(self) -> Self:
        """A copy with trainable tensors of its own; frozen ones (the base under an adapter) are shared."""
        trains = {id(parameter) for parameter in self.parameters()}
        shared: dict[int, Any] = {id(p): p for p in self.model.parameters() if id(p) not in trains}
        return copy.deepcopy(self, shared)

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
        with self.lock.changing(), torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(state["trainable"][name])

    def base_hash(self) -> str:
        """SHA-256 of every frozen tensor. Computed once: frozen tensors do not change."""
        if self._base_hash is None:
            frozen = {name: p for name, p in self.model.named_parameters() if not p.requires_grad}
            self._base_hash = _hash_of(frozen)
        return self._base_hash


@torch.no_grad()
def check_head(model: Any) -> None:
    """Refuse a causal model that changes its logits after the output head: its log-probs would be wrong."""
    vocabulary = model.config.vocab_size
    tokens_1T = torch.tensor([[1 % vocabulary, 2 % vocabulary]], device=model.device)
    hidden_1TH = model.base_model(input_ids=tokens_1T, use_cache=False).last_hidden_state
    direct = model.get_output_embeddings()(hidden_1TH)
    gap = (direct - model(input_ids=tokens_1T, use_cache=False).logits).abs().max().item()
    if gap > 1e-3:
        raise ValueError(
            f"this model changes its logits after the output head (by {gap:.3g}), for example by soft-capping; "
            "strop reads them at the head and cannot train it."
        )


def _zero_head(like: Tensor) -> torch.nn.Linear:
    """A linear value head that starts at 0, in the model's type but at least float32."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    with ALONE:  # torch draws weights from its global generator
        head = torch.nn.Linear(like.shape[1], 1, dtype=dtype, device=like.device)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    return head


@torch.no_grad()
def move_off_file(model: Any) -> None:
    """Copy trainable weights out of the mapped file. Changed in place they would be copied page by page in the first
    step, into small pages that stay."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def _hash_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names and the bits."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _difference(own: Mapping[str, object], saved: Mapping[str, object]) -> str:
    missing, extra = sorted(own.keys() - saved.keys()), sorted(saved.keys() - own.keys())
    return f"{len(missing)} are missing ({', '.join(missing[:2])}), {len(extra)} are unknown ({', '.join(extra[:2])})"
