"""A recurrent language model: the state so far is a vector, which every token changes.

Source: Elman 1990 (RNN); Hochreiter and Schmidhuber 1997 (LSTM); Cho et al. 2014, 1406.1078 (GRU). As language models:
Mikolov et al. 2010; dropout between layers and not in time, Zaremba et al. 2014, 1409.2329; tied, Press and Wolf 2017,
1608.05859. The layers are torch's own, for `lstm`

    i, f, o = sigmoid(W x_t + U h_{t-1} + b),  g = tanh(W' x_t + U' h_{t-1} + b')
    c_t = f c_{t-1} + i g,  h_t = o tanh(c_t)

Differs from the papers: layer norms before the first layer and before the output weights. A text starts from a state
of zeros, and the gradient goes through the whole row that it is learnt from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from strop.codec import HFCodec, WordCodec, codec_of
from strop.policies._dropout import Dropout
from strop.policies._language import Language, Net, check_sizes
from strop.process import seeded
from strop.types import PolicyConfig, Tokenizer, check_fields

KINDS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
States: TypeAlias = list[Tensor | tuple[Tensor, Tensor]]
"""Of each layer: h [1, B, H], and for an LSTM c [1, B, H] too."""


class Recurrent(nn.Module):
    """Recurrent layers. While sampling, a row is one vector a layer (an LSTM: two), however much it has read."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options. It computes in float32, whatever the run's dtype.

        words       the vocabulary, if there is no tokenizer
        has_end     adds the token that ends a completion
        tokenizer   a `strop.Tokenizer`; `strop pretrain` sets it from the corpus
        kind        of the layers: lstm, gru, or rnn
        width       numbers in an embedding and in a layer's state
        num_layers  layers, one above the other
        tied        the output weights are those of the embedding
        dropout     share of the numbers between layers that is dropped in pretraining
        value_head  adds the value that actor-critic algorithms and reward models read
        """

        words: Sequence[str] = ()
        has_end: bool = True
        tokenizer: Tokenizer | None = None
        kind: Literal["lstm", "gru", "rnn"] = "lstm"
        width: int = 256
        num_layers: int = 2
        tied: bool = True
        dropout: float = 0.0
        value_head: bool = False

        def __post_init__(self) -> None:
            check_fields(self)
            check_sizes(self.width, self.num_layers, self.dropout)
            if self.kind not in KINDS:
                raise ValueError(f"policy.kind={self.kind!r}: it is one of {', '.join(KINDS)}.")

        def build(self, seed: int, dtype: str = "float32", device: str = "cpu") -> tuple[Language, WordCodec | HFCodec]:
            """The model initialised from `seed`, with the same numbers on every device, and its codec."""
            codec, size = codec_of(self.words, self.has_end, self.tokenizer)
            with seeded(seed):
                trunk = Recurrent(self.kind, self.width, self.num_layers)
                net = Net.of(trunk, size, self.width, self.tied, self.value_head)
            return Language(net.to(device), size, Dropout(self.dropout, seed)), codec

    def __init__(self, kind: Literal["lstm", "gru", "rnn"], width: int, num_layers: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(KINDS[kind](width, width, batch_first=True) for _ in range(num_layers))

    def forward(self, inputs_BTH: Tensor, dropout: Dropout) -> Tensor:
        """The last layer's h after every input."""
        hidden_BTH: Tensor = self.norm(inputs_BTH)
        for i, layer in enumerate(self.layers):
            hidden_BTH, _ = layer(dropout(hidden_BTH) if i else hidden_BTH)
        return hidden_BTH

    def start(self, inputs_BTH: Tensor, length_B: Tensor) -> tuple[Tensor, States]:
        """Read rows of any lengths: packed, each ends with its own last input."""
        packed: Any = pack_padded_sequence(self.norm(inputs_BTH), length_B, batch_first=True, enforce_sorted=False)
        states: States = []
        for layer in self.layers:
            packed, state = layer(packed)
            states.append(state)
        return _hidden(states[-1]), states

    def step(self, inputs_BH: Tensor, state: States) -> tuple[Tensor, States]:
        """One more input."""
        hidden_B1H = self.norm(inputs_BH).unsqueeze(1)
        states: States = []
        for layer, before in zip(self.layers, state, strict=True):
            hidden_B1H, after = layer(hidden_B1H, before)
            states.append(after)
        return hidden_B1H.squeeze(1), states

    def keep(self, state: States, rows: Sequence[int]) -> States:
        """The states of these rows."""
        return [(one[0][:, rows], one[1][:, rows]) if isinstance(one, tuple) else one[:, rows] for one in state]

    def join(self, states: Sequence[States]) -> States:
        """The states of all rows."""
        return [_joined(layers) for layers in zip(*states, strict=True)]


def _joined(states: Sequence[Tensor | tuple[Tensor, Tensor]]) -> Tensor | tuple[Tensor, Tensor]:
    """Of one layer, the rows of all these states."""
    if isinstance(states[0], tuple):
        hidden, cell = zip(*states, strict=True)
        return torch.cat(hidden, dim=1), torch.cat(cell, dim=1)
    return torch.cat(cast("list[Tensor]", list(states)), dim=1)


def _hidden(state: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """h [B, H] of a layer's state."""
    return (state[0] if isinstance(state, tuple) else state).squeeze(0)
