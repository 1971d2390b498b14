"""What the neural language models of this room share: an embedding, a trunk, output weights, and the policy of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.functional import linear
from torch.nn.utils.rnn import pad_sequence

from strop.compute.output_head import ChunkedHeads
from strop.functional.bounds import check_at_least, check_below
from strop.policies._dropout import Dropout
from strop.policies._heads import LOGITS, scatter
from strop.policies.demands import require_values
from strop.types import Batch, Reduce, State, Tokens, Want, WeightsLock

FIRST_LENGTH = 0.2
"""The length of a token's vector at the start. It is the logits' standard deviation: the first loss is ln V + .02."""


class Trunk(Protocol):
    """A causal map of a sequence of inputs to vectors: output t is a function of inputs up to t. It is an nn.Module.

    While sampling it goes on from a state that does not grow with what was read. `step`, `keep` and `join` use it up.
    """

    def __call__(self, inputs_BTH: Tensor, dropout: Dropout) -> Tensor:
        """The outputs at every position; differentiable."""

    def start(self, inputs_BTH: Tensor, length_B: Tensor) -> tuple[Tensor, Any]:
        """The output [B, H] at the end of each row, of `length_B` inputs (on the CPU), and the state there."""

    def step(self, inputs_BH: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The output after one more input for each row."""

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """The state of these rows."""

    def join(self, states: Sequence[Any]) -> Any:
        """One state of the rows of all these, in their order."""


class Net(nn.Module):
    """The modules of a language model, under the names that their weights are saved by.

    `embedding` makes the trunk's inputs of tokens, `norm` ends it, `output` makes logits; without it the weights are
    those of the embedding (tied, 1608.05859). The value is read from `width` normed numbers, and starts at 0.
    """

    def __init__(
        self,
        embedding: nn.Module,
        trunk: nn.Module,
        norm: nn.Module,
        output: nn.Linear | None,
        width: int,
        value_head: bool,
    ) -> None:
        super().__init__()
        self.embedding, self.trunk, self.norm, self.output = embedding, trunk, norm, output
        self.value_head = nn.Linear(width, 1) if value_head else None
        if self.value_head is not None:
            nn.init.zeros_(self.value_head.weight)
            nn.init.zeros_(self.value_head.bias)

    @classmethod
    def of(cls, trunk: nn.Module, vocabulary: int, width: int, tied: bool, value_head: bool) -> Net:
        """The usual one, all of whose parts are `width` wide."""
        output = None if tied else nn.Linear(width, vocabulary, bias=False)
        if output is not None:
            nn.init.normal_(output.weight, std=FIRST_LENGTH / math.sqrt(width))
        return cls(Vectors(vocabulary, width), trunk, nn.LayerNorm(width), output, width, value_head)

    def logits(self, hidden_NH: Tensor) -> Tensor:
        """[N, V] of normed numbers."""
        if self.output is None:
            return linear(hidden_NH, cast("Tensor", self.embedding.weight))
        logits_NV: Tensor = self.output(hidden_NH)
        return logits_NV


class Vectors(nn.Embedding):
    """A short vector for each token, which is read times sqrt(width) (1706.03762, 3.4)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__(vocabulary, width)
        nn.init.normal_(self.weight, std=FIRST_LENGTH / math.sqrt(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens) * math.sqrt(self.embedding_dim)


class Language:
    """A language model whose trunk keeps a state of fixed size, in float32 on any device; it reads any length.

    Dropout acts on what enters and leaves the trunk, and in it between layers.
    """

    layout: Literal["joined", "per_turn"] = "joined"
    context: int | None = None

    def __init__(self, net: Net, vocabulary: int, dropout: Dropout) -> None:
        self.lock = WeightsLock()
        self.net, self.vocabulary, self.dropout = net, vocabulary, dropout
        self.has_values = net.value_head is not None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.net.parameters()).device

    @property
    def trunk(self) -> Trunk:
        """What stands between the embedding and the output weights."""
        return cast("Trunk", self.net.trunk)

    # ------------------------------------------------------------ sampling

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        """Read prompts of any lengths, padded on the right: what stands after a token does not change it."""
        tokens_BT = pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True)
        lengths_B = torch.tensor([len(prompt) for prompt in prompts])
        hidden_BH, state = self.trunk.start(self._embedded(tokens_BT), lengths_B)
        return self.net.logits(self.net.norm(hidden_BH)), state

    @torch.no_grad()
    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        """Logits after one more token for each row. The old state becomes invalid."""
        hidden_BH, state = self.trunk.step(self._embedded(tokens_B), state)
        return self.net.logits(self.net.norm(hidden_BH)), state

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """Select rows; one may be named several times. The old state becomes invalid."""
        return self.trunk.keep(state, rows)

    def join(self, states: Sequence[Any]) -> Any:
        """One state of all rows. The old states become invalid."""
        return self.trunk.join(states)

    # ------------------------------------------------------------ training

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """The hidden state before every decision, chunk by chunk through the output weights; q are the logits."""
        if "value" in want:
            require_values(self)
        decision_BT = batch.decision_BT
        hidden_BTH = self.trunk(self.dropout(self._embedded(batch.tokens_BT)), self.dropout)
        hidden_NH = self.dropout(self.net.norm(hidden_BTH[:, :-1][decision_BT[:, 1:]]))
        heads = ChunkedHeads(self.net.logits, self.net.value_head, self.vocabulary, want, reduce)
        found = heads.apply(hidden_NH, batch.tokens_BT[decision_BT].to(hidden_NH.device))
        return {name: scatter(found_N, decision_BT) for name, found_N in found.items()}

    def _embedded(self, tokens: Tensor) -> Tensor:
        inputs: Tensor = self.net.embedding(tokens.to(self.device))
        return inputs

    def reference(self) -> Language:
        """A frozen copy, without dropout."""
        frozen = self.twin()
        frozen.net.requires_grad_(False)
        frozen.dropout = Dropout(0.0, seed=0)
        return frozen

    def twin(self) -> Language:
        """A copy with parameters of its own."""
        copied = copy.deepcopy(self)
        copied.net.to(self.device)  # cuDNN wants the weights of a recurrent layer in one piece; `to` puts them there
        return copied

    def parameters(self) -> list[Parameter]:
        """All parameters; tied weights are one of them."""
        return list(self.net.parameters())

    # ------------------------------------------------------------ saving

    def state_dict(self) -> State:
        """The weights by name, and the state of the dropout's generator."""
        weights = {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}
        return {"weights": weights, "dropout": self.dropout.state()}

    def load_state_dict(self, state: State) -> None:
        """Restore in place, so that optimisers keep pointing at the parameters. A value head that this policy does not
        have is left out."""
        own, saved = self.net.state_dict(), state["weights"]
        saved = {
            name: tensor for name, tensor in saved.items() if self.has_values or not name.startswith("value_head.")
        }
        if _shapes(own) != _shapes(saved):
            differing = sorted({name for name, _ in _shapes(own) ^ _shapes(saved)})
            raise ValueError(f"the saved weights are of another shape: {', '.join(differing[:3])} differ.")
        with self.lock.changing(), torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(saved[name])
            self.dropout.set_state(state["dropout"])


def check_sizes(width: int, num_layers: int, dropout: float) -> None:
    """Raise ValueError for a field out of its range."""
    check_at_least("policy.width", width, 1)
    check_at_least("policy.num_layers", num_layers, 1)
    check_below("policy.dropout", dropout, 1.0)


def _shapes(weights: Mapping[str, Tensor]) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(tensor.shape)) for name, tensor in weights.items()}
