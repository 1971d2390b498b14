"""Any Hugging Face masked language model as a policy: a transformer that reads a text in both directions.

Source: Devlin et al. 2019 (1810.04805). The models are transformers' own: BERT, RoBERTa (1907.11692), DistilBERT,
ModernBERT and others of their kind. With e_t the last vector at token t, of which the first is [CLS], it is

    pretrained        softmax(head(e_t)): what stands at the hidden token t? (section 3.1; `MaskedLM`)
    a classifier      pi(a | prompt) = softmax(W e_[CLS] + b): a policy of one action (4.1; `actions`)
    a reward model    v . e_[CLS] + c of a whole text (`value_head`)

It does not generate: what fits between two neighbours is not what a text goes on with.

An encoder sees all of its text, so the value before token t is that of a text which ends there: every value is an
encoding of its own. `RewardModel` asks for one a text.

Differs from the paper: [CLS] is read as it is, without the layer that next-sentence prediction has on top of it; W
starts at 0, so that all actions are alike; no dropout, since log-probs in an update are those of what was sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from strop.compute.encoder import Encoder, num_positions
from strop.compute.output_head import ChunkedHeads
from strop.hub.card import Card
from strop.hub.masked import export_masked
from strop.hub.pretrained import loaded
from strop.policies._heads import LOGITS, scatter
from strop.policies._texts import TextCodec
from strop.policies._weights import VALUE_HEAD, Weights, freeze_head, move_off_file, zero_head
from strop.policies.adapters import LoRA, merged_state_dict, with_adapter
from strop.policies.demands import require_values
from strop.types import Batch, Codec, ComputesIn, ComputesOn, PolicyConfig, Reduce, Tokens, Want, check_fields

WRITES_NOTHING = (
    "a masked encoder fills in hidden tokens and scores texts; it writes none. With policy.actions=[...] it chooses "
    "one of them. To write, take a causal model or an encoder-decoder."
)
ACTION_HEAD = "action_head"
MOST_MARKS = 3
"""Special tokens around a text of two segments in pretraining."""


class MaskedEncoder(Weights):
    """It fills in hidden tokens if it has neither `actions` nor a value head; with one of them its output head rests.

    A turn's prompt is a text of its own. Ids are those of `TextCodec`. `marks` are the special tokens.
    """

    layout: Literal["joined", "per_turn"] = "per_turn"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options.

        model       a folder, or a Hub id
        lora        the adapter that is trained; none trains all weights
        actions     the words that it chooses from, as a classifier; none of them for pretraining and reward models
        value_head  adds the value that actor-critic algorithms and reward models read
        """

        computes_on: ClassVar[ComputesOn] = "accelerator"
        computes_in: ClassVar[ComputesIn] = "fastest"
        model: str
        lora: LoRA | None = field(default_factory=LoRA)
        actions: Sequence[str] = ()
        value_head: bool = False

        def __post_init__(self) -> None:
            check_fields(self)

        @property
        def acts(self) -> bool:
            """Only with actions."""
            return bool(self.actions)

        def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[MaskedEncoder, TextCodec]:
            """Load the model and add the adapter, which is initialised from the seed."""
            model, tokenizer, _ = loaded(self.model, "masked")
            if self.lora is None and device == "cpu":
                move_off_file(model)
            model = with_adapter(model, self.lora, seed).to(device)
            codec = TextCodec(tokenizer, self.actions)
            return MaskedEncoder(model, codec, self.value_head, self.lora is not None, dtype), codec

    def __init__(
        self,
        model: Any,
        codec: TextCodec,
        value_head: bool = False,
        has_adapter: bool = False,
        dtype: str = "float32",
    ) -> None:
        self.width: int = model.config.hidden_size
        wanted = {ACTION_HEAD: len(codec.actions), VALUE_HEAD: int(value_head)}
        added = {name: zero_head(self.width, size, model.device) for name, size in wanted.items() if size}
        super().__init__(model, has_adapter, dtype, added)
        self.marks, self.actions, self.has_values, self.fills = codec.marks, codec.actions, value_head, not added
        self.vocabulary: int = len(self.actions) or model.config.vocab_size
        longest = num_positions(model)
        self.context = None if longest is None else longest + (1 if self.actions else -MOST_MARKS if self.fills else 0)
        if added:
            freeze_head(model)
        self.encoder = Encoder.of(model, getattr(torch, dtype), has_products=model.device.type == "cpu")

    # ------------------------------------------------------------ sampling

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        """The logits of the actions after each prompt. There is no state: an action ends a turn."""
        self._require_actions()
        tokens_BT = pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True)
        return self._logits(self._first(tokens_BT, torch.tensor([*map(len, prompts)]))), None

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        """Refused: an action is one token."""
        raise ValueError("a masked encoder acts with one token a turn: set sampling.max_tokens=1.")

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """There is no state."""
        return None

    def join(self, states: Sequence[Any]) -> Any:
        """There is no state."""
        return None

    # ------------------------------------------------------------ training

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """Each decision's own text, up to it, read from its first vector; q are the logits.

        Without actions nothing is decided: then only values that a reward model is asked for are read, which stand
        where `next_BT` points; 0 elsewhere.
        """
        if "value" in want:
            require_values(self)
        if want - {"value"}:
            self._require_actions()
        decision_BT = batch.decision_BT if self.actions else _pointed_at(batch)
        row_N, slot_N = decision_BT.nonzero(as_tuple=True)
        first_NH = self._first(batch.tokens_BT[row_N], slot_N)
        heads = ChunkedHeads(self._logits, self.added.get(VALUE_HEAD), self.vocabulary, want, reduce)
        found = heads.apply(first_NH, batch.tokens_BT[decision_BT].to(first_NH.device))
        return {name: scatter(found_N, decision_BT) for name, found_N in found.items()}

    def encode(self, tokens_BT: Tensor, length_B: Tensor, type_BT: Tensor) -> Tensor:
        """The last vectors [B, T, H] of texts of these lengths, padded on the right; types say the segment, 0 or 1."""
        return self.encoder.encode(tokens_BT, length_B, type_BT)

    def words(self, vectors_NH: Tensor, tokens_N: Tensor, reduce: Reduce) -> dict[str, Tensor]:
        """What `reduce` makes [N] of the logits at these vectors, chunk by chunk; `tokens_N` is what stood there."""
        heads = ChunkedHeads(self.encoder.head, None, self.vocabulary, LOGITS, reduce)
        return heads.apply(vectors_NH, tokens_N.to(vectors_NH.device))

    def _first(self, tokens_BT: Tensor, length_B: Tensor) -> Tensor:
        """The first vector [B, H] of texts of these lengths, in the codec's ids; what stands behind is not read."""
        if not len(length_B):
            return torch.zeros(0, self.width, device=self.model.device)
        tokens_BT = tokens_BT[:, : int(length_B.max())] - len(self.actions)
        stands_BT = torch.arange(tokens_BT.shape[1]) < length_B.unsqueeze(1)
        if bool((tokens_BT[stands_BT] < 0).any()):
            raise ValueError("an action stands in a prompt: every turn of a masked encoder is one text and one action.")
        tokens_BT = tokens_BT.masked_fill(~stands_BT, 0)
        return self.encode(tokens_BT, length_B, self.marks.types(tokens_BT))[:, 0]

    def _logits(self, first_NH: Tensor) -> Tensor:
        logits_NV: Tensor = self.added[ACTION_HEAD](first_NH)
        return logits_NV

    def _require_actions(self) -> None:
        if not self.actions:
            raise ValueError(WRITES_NOTHING)

    # ------------------------------------------------------------ copies

    def reference(self) -> Self:
        """A frozen copy; under an adapter it shares the base."""
        frozen = self.twin()
        for parameter in frozen.parameters():
            parameter.requires_grad_(False)
        return frozen

    def restarted(self, lora: LoRA | None, seed: int, value_head: bool, codec: TextCodec) -> MaskedEncoder:
        """This policy as the start of another run: its adapter merged into the base, a new one on top.

        The head of the same actions, or of a value, stays as it was trained; a new one starts at 0. This object is used
        up.
        """
        base = self.merge(lora is not None)
        model = with_adapter(self.model, lora, seed).to(self.model.device)
        new = MaskedEncoder(model, codec, value_head, lora is not None, self.dtype)
        new.follow(self, base, [VALUE_HEAD, *([ACTION_HEAD] if new.actions == self.actions else [])])
        return new

    def export(self, codec: Codec, folder: Path, card: Card) -> float:
        """Write a Hugging Face folder with the adapter merged; returns the largest difference of its logits. Raises
        ValueError for a classifier or a reward model, whose head has no place in it."""
        if not self.fills or not isinstance(codec, TextCodec):
            raise ValueError("the head of a classifier or of a reward model has no place in a masked model's folder.")
        return export_masked(self.model, merged_state_dict(self.model), codec.tokenizer, folder, card)


def _pointed_at(batch: Batch) -> Tensor:
    """bool [B, T]: the slots that an action's `next_BT` names."""
    pointed_N = torch.zeros(batch.action_BT.numel(), dtype=torch.bool)
    next_N = batch.next_BT[batch.action_BT]
    pointed_N[next_N[next_N >= 0]] = True
    return pointed_N.view_as(batch.action_BT)
