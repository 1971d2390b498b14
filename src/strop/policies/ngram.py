"""An n-gram language model: it is counted and smoothed, and reinforcement learning moves it from there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import embedding
from torch.utils.checkpoint import checkpoint

from strop.codec import HFCodec, WordCodec, codec_of
from strop.devices import require_cpu_if_alone
from strop.functional.bounds import check_at_least, check_positive
from strop.functional.distributions import gather
from strop.functional.ngrams import Contexts, Counts, Numbers, Run
from strop.functional.smoothing import Interpolated, add_k, kneser_ney
from strop.policies._heads import LOGITS, scatter
from strop.policies._rows import Rows
from strop.policies.demands import require_values
from strop.types import (
    Batch,
    ComputesOn,
    Heads,
    PolicyConfig,
    Reduce,
    State,
    Tokenizer,
    Tokens,
    Want,
    WeightsLock,
    check_fields,
)

Smoothing: TypeAlias = "Callable[[Run, Contexts, int], Interpolated]"
"""(what was seen, the numbers of contexts, the size of the vocabulary) -> a distribution after every context."""
KNESER_NEY = partial(kneser_ney, discount=None)
TRAINED = 16_000_000
"""The most numbers that train, where no capacity is given: 128 MB, and twice that in AdamW's moments."""
CHUNK = 2**22
"""The most logits at once."""


class NGram:
    """log p(w | the last order - 1 tokens), smoothed from counts, plus a row of numbers [V] of the context; float64.

    `count` counts: that is maximum likelihood, without a gradient. The rows are all that trains. They start at 0, and
    `Rows` says which context has which; with `value_head` each has a value, which starts at 0 too.

    It is not `Table(order=n)`, which has nothing but a row of free numbers for each context that it has seen, learnt by
    gradient: there an unseen context knows nothing. Here it has the distribution of its last tokens, from all the text
    that was counted. (Without counts it is a table that starts uniform and can never be too full.)

    Behind an end token every context is that of a beginning. So a reward model, which reads the value behind the whole
    text, learns nothing where texts end in one.
    """

    layout: Literal["joined", "per_turn"] = "joined"
    context: int | None = None

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options.

        words       the vocabulary, if there is no tokenizer
        has_end     adds the token that ends a completion
        tokenizer   a `strop.Tokenizer`; `strop pretrain` sets it from the corpus
        order       the tokens of an n-gram; the context is one less
        smoothing   kneser-ney (interpolated) or add-k, which has no shorter contexts to fall back on
        discount    of Kneser-Ney, taken off every count; none estimates one for each length from the counts
        k           of add-k, added to every count
        capacity    contexts that can train, each with a row of its own; none takes what makes 16 million numbers
        value_head  adds the value that actor-critic algorithms and reward models read
        """

        computes_on: ClassVar[ComputesOn] = "cpu"
        words: Sequence[str] = ()
        has_end: bool = True
        tokenizer: Tokenizer | None = None
        order: int = 3
        smoothing: Literal["kneser-ney", "add-k"] = "kneser-ney"
        discount: float | None = None
        k: float = 0.1
        capacity: int | None = None
        value_head: bool = False

        def __post_init__(self) -> None:
            check_fields(self)
            check_at_least("policy.order", self.order, 1)
            if self.smoothing not in ("kneser-ney", "add-k"):
                raise ValueError(f"policy.smoothing={self.smoothing!r}: it is kneser-ney or add-k.")
            if self.discount is not None and not 0.0 < self.discount < 1.0:
                raise ValueError(f"policy.discount={self.discount}: it lies between 0 and 1; none estimates it.")
            if self.discount is not None and self.smoothing == "add-k":
                raise ValueError(f"policy.discount={self.discount}: only kneser-ney has one. add-k has policy.k.")
            check_positive("policy.k", self.k)
            check_at_least("policy.capacity", self.capacity, 1, none="takes what makes 16 million numbers")

        def build(self, seed: int, dtype: str = "float64", device: str = "cpu") -> tuple[NGram, WordCodec | HFCodec]:
            """The model, which has counted nothing, and its codec. It is always float64 on the CPU, without a seed."""
            require_cpu_if_alone(device, self)
            codec, size = codec_of(self.words, self.has_end, self.tokenizer)
            is_add_k = self.smoothing == "add-k"
            smoothing = partial(add_k, k=self.k) if is_add_k else partial(kneser_ney, discount=self.discount)
            return NGram(size, codec.end, self.order, smoothing, self.capacity, self.value_head), codec

    def __init__(
        self,
        vocabulary: int,
        end: int | None = None,
        order: int = 3,
        smoothing: Smoothing = KNESER_NEY,
        capacity: int | None = None,
        value_head: bool = False,
    ) -> None:
        self.lock = WeightsLock()
        self.contexts = Contexts.of(vocabulary, order, end)
        self.vocabulary, self.order, self.smoothing, self.has_values = vocabulary, order, smoothing, value_head
        self.counts = Counts()
        self._smoothed: Interpolated | None = None
        usual = min(max(TRAINED // vocabulary, 1), self.contexts.span)
        self.rows = Rows(capacity or usual, vocabulary, value_head)

    # ------------------------------------------------------------ counting

    def count(self, tokens_BT: Tensor, counted_BT: Tensor) -> int:
        """Count the marked tokens, each after what stands before it in its row; how many n-grams are new.

        Whoever calls it holds `lock.changing()`.
        """
        tokens, counted = tokens_BT.numpy(), counted_BT.numpy()
        ngrams_N = (self.contexts.before(tokens) * self.contexts.base + tokens)[counted]
        before, self.counts, self._smoothed = self.counts.num_ngrams, self.counts.plus(ngrams_N), None
        return self.counts.num_ngrams - before

    @property
    def num_ngrams(self) -> int:
        """How many different n-grams were counted."""
        return self.counts.num_ngrams

    @property
    def smoothed(self) -> Interpolated:
        """The distributions of what was counted, without what was trained. Made when it is first read after a count."""
        if self._smoothed is None:
            self.counts = self.counts.settled()
            self._smoothed = self.smoothing(self.counts.whole, self.contexts, self.vocabulary)
        return self._smoothed

    # ------------------------------------------------------------ sampling

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Numbers]:
        """The logits after each prompt. The state is the number of its context."""
        contexts_B = self.contexts.behind(prompts)
        return self._logits(contexts_B, self.rows.of(contexts_B.tolist())), contexts_B

    @torch.no_grad()
    def decode(self, state: Numbers, tokens_B: Tensor) -> tuple[Tensor, Numbers]:
        """The logits after one more token each, at a cost that what stands before does not change."""
        contexts_B = self.contexts.push(state, tokens_B.cpu().numpy())
        return self._logits(contexts_B, self.rows.of(contexts_B.tolist())), contexts_B

    def keep(self, state: Numbers, rows: Sequence[int]) -> Numbers:
        """The contexts of these rows."""
        kept_B: Numbers = state[list(rows)]
        return kept_B

    def join(self, states: Sequence[Numbers]) -> Numbers:
        """The contexts of all rows."""
        joined_B: Numbers = np.concatenate(states)
        return joined_B

    # ------------------------------------------------------------ training

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """Chunk by chunk, each of which is computed again in the backward pass; contexts get their rows in order."""
        if "value" in want:
            require_values(self)
        decision_BT = batch.decision_BT
        contexts_N = self.contexts.before(batch.tokens_BT.numpy())[decision_BT.numpy()]
        rows_N = self.rows.of(contexts_N.tolist())
        parts = list(self._chunks(contexts_N, rows_N, batch.tokens_BT[decision_BT], reduce, want))
        return {name: scatter(torch.cat([part[name] for part in parts]), decision_BT) for name in parts[0]}

    def _chunks(
        self, contexts_N: Numbers, rows_N: Tensor, tokens_N: Tensor, reduce: Reduce, want: frozenset[Want]
    ) -> Iterator[Mapping[str, Tensor]]:
        """What `reduce` makes of each chunk of the decisions."""
        size, num = max(CHUNK // self.vocabulary, 1), len(tokens_N)

        def chunk(first: int) -> Mapping[str, Tensor]:
            part = slice(first, first + size)
            logits_nV = self._logits(contexts_N[part], rows_N[part]) if want & {"logits", "q"} else None
            heads = Heads(
                tokens_N=tokens_N[part],
                first=first,
                logits_NV=logits_nV if "logits" in want else None,
                value_N=self.rows.value[rows_N[part]] if self.rows.value is not None and "value" in want else None,
                q_NV=logits_nV if "q" in want else None,
            )
            return reduce(heads)

        for first in range(0, max(num, 1), size):
            if torch.is_grad_enabled() and first + size < num:
                yield checkpoint(chunk, first, use_reentrant=False, preserve_rng_state=False)
            else:
                yield chunk(first)

    def _logits(self, contexts_N: Numbers, rows_N: Tensor) -> Tensor:
        return torch.from_numpy(self.smoothed.logprobs(contexts_N)) + embedding(rows_N, self.rows.delta)

    @torch.no_grad()
    def score(self, tokens: Tokens) -> Tensor:
        """The log-prob [T] of each token of a text, which begins as a document does, after those before it."""
        tokens_T = torch.tensor(tokens, dtype=torch.long)
        contexts_T = self.contexts.before(tokens_T[None].numpy())[0]
        logprobs_T = torch.from_numpy(self.smoothed.probs_of(contexts_T, tokens_T.numpy())).log()
        rows_T = self.rows.of(contexts_T.tolist())
        trained_M = self.rows.is_trained(rows_T).nonzero().squeeze(1)
        for at_n in torch.split(trained_M, max(CHUNK // self.vocabulary, 1)):
            logits_nV = self._logits(contexts_T[at_n.numpy()], rows_T[at_n])
            logprobs_T[at_n] = gather(torch.log_softmax(logits_nV, dim=-1), tokens_T[at_n])
        return logprobs_T

    # ------------------------------------------------------------ copies, and what is kept

    def reference(self) -> NGram:
        """A frozen copy, which sees no later counts."""
        return self._with(self.rows.frozen())

    def twin(self) -> NGram:
        """A copy with rows of its own, of the same contexts."""
        return self._with(self.rows.twin())

    def _with(self, rows: Rows) -> NGram:
        other = copy.copy(self)
        other.lock, other.rows = WeightsLock(), rows
        return other

    def parameters(self) -> list[Parameter]:
        """The rows, and their values if there are any."""
        return list(self.rows.named().values())

    def state_dict(self) -> State:
        """The n-grams and their counts, and the rows."""
        ngrams_M, counts_M = self.counts.whole
        counted = {"order": self.order, "ngrams": torch.tensor(ngrams_M), "counts": torch.tensor(counts_M)}
        return counted | self.rows.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Restore in place. Raises ValueError for another order, or more rows than there are here."""
        if state["order"] != self.order:
            raise ValueError(f"policy.order={self.order}: the saved policy has order {state['order']}.")
        with self.lock.changing():
            self.rows.load_state_dict(state)
            self.counts = Counts.of((state["ngrams"].numpy(), state["counts"].numpy()))
            self._smoothed = None
