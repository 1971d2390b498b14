"""Any Hugging Face causal language model as a policy: pretrained or from scratch, all weights or LoRA."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from strop.codec import HFCodec
from strop.compute.output_head import ChunkedHeads
from strop.compute.runner import DecodingState, Runner, runner_of
from strop.hub.card import Card
from strop.hub.export import export, write_weights
from strop.hub.pretrained import loaded
from strop.policies._heads import LOGITS, scatter
from strop.policies._weights import VALUE_HEAD, Weights, move_off_file, zero_head
from strop.policies.adapter_off import AdapterOff
from strop.policies.adapters import LoRA, merged_state_dict, with_adapter
from strop.policies.demands import require_values
from strop.policies.prompts import Prompts
from strop.types import (
    Batch,
    Codec,
    ComputesIn,
    ComputesOn,
    PolicyConfig,
    Reduce,
    Tokens,
    Want,
    check_fields,
)


class Transformer(Weights):
    """A causal LM, whose logits are computed in chunks and only for decisions.

    With `has_adapter` the reference is the base without it. `is_plain` keeps the processor's own path away, to compare
    with.
    """

    layout: Literal["joined", "per_turn"] = "joined"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options.

        model       "smollm2", a folder, or a Hub id
        lora        the adapter that is trained; none trains all weights
        value_head  adds the value that actor-critic algorithms and reward models read
        prompts     how prompts are written: by the model's chat template, or plain
        """

        computes_on: ClassVar[ComputesOn] = "accelerator"
        computes_in: ClassVar[ComputesIn] = "fastest"
        model: str = "smollm2"
        lora: LoRA | None = field(default_factory=LoRA)
        value_head: bool = False
        prompts: Prompts = field(default_factory=Prompts)

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Transformer, HFCodec]:
            """Load the model and add the adapter, which is initialised from the seed."""
            model, tokenizer, stop = loaded(self.model, "causal")
            self.prompts.put_into(tokenizer)
            if self.lora is None and device == "cpu":
                move_off_file(model)
            return Transformer.of(model, self.lora, seed, dtype, self.value_head, device), HFCodec(tokenizer, stop)

    @classmethod
    def of(
        cls, model: Any, lora: LoRA | None, seed: int, dtype: str, value_head: bool = False, device: str = "cpu"
    ) -> Self:
        """A policy over a loaded model: with LoRA the base is frozen, without it everything trains."""
        model = with_adapter(model, lora, seed).to(device)
        return cls(model, has_adapter=lora is not None, dtype=dtype, value_head=value_head)

    def __init__(
        self,
        model: Any,
        has_adapter: bool = False,
        dtype: str = "float32",
        value_head: bool = False,
        is_plain: bool = False,
    ) -> None:
        head_VH = model.get_output_embeddings().weight
        self.value_head = zero_head(head_VH.shape[1], 1, head_VH.device, head_VH.dtype) if value_head else None
        super().__init__(model, has_adapter, dtype, {} if self.value_head is None else {VALUE_HEAD: self.value_head})
        self.vocabulary: int = model.config.vocab_size
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        self.has_values = value_head
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

    def join(self, states: Sequence[DecodingState]) -> DecodingState:
        """One state of all rows: newcomers go on with those that are being continued. The old states become invalid."""
        return self.runner.join(states)

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

    def write_weights(self, folder: Path) -> Path:
        """Write the weights alone, with the adapter merged, as a file that whatever serves the model can load."""
        with self.lock.reading(), torch.no_grad():
            return write_weights(self.model, merged_state_dict(self.model), folder)

    def restarted(self, lora: LoRA | None, seed: int, value_head: bool) -> Self:
        """This policy as the start of another run: its adapter merged into the base, a new one on top.

        A value head stays as it was trained; a new one starts at 0. This object is used up.
        """
        base = self.merge(lora is not None)
        new = self.of(self.model, lora, seed, self.dtype, value_head, str(self.model.device))
        new.follow(self, base, [VALUE_HEAD])
        return new


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
