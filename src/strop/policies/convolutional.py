"""A convolutional language model: each layer sees two or more inputs, ever further apart.

Source: WaveNet, van den Oord et al. 2016, 1609.03499; as a general sequence model TCN, Bai et al. 2018, 1803.01271.
Layer i looks `kernel` inputs back at distances of d = 1, 2, 4, ... 128, then from 1 again:

    y_t = x_t + W tanh(F * n_t) sigmoid(G * n_t),   (F * n)_t = sum_j F_j n_{t - j d},   n = norm(x)

so the output sees the last 1 + (kernel - 1) sum d tokens: 127 with 6 layers and kernel 3. Before a text stand zeros.

Differs from WaveNet: a layer norm before each convolution, and no skip connections beside the residual ones. Differs
from TCN: gates and one convolution a block, where TCN has two with ReLU and weight normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from strop.codec import HFCodec, WordCodec, codec_of
from strop.functional.bounds import check_at_least
from strop.policies._dropout import Dropout
from strop.policies._language import Language, Net, check_sizes
from strop.process import seeded
from strop.types import PolicyConfig, Tokenizer, check_fields

CYCLE = 8
"""Layers until the distance starts from 1 again: it is at most 2 ** 7."""


@dataclass(slots=True)
class Rings:
    """While sampling: of each layer the last R = (kernel - 1) d inputs [B, R, H]; input t stands in place t mod R.

    Inputs are counted from the start of sampling, so `now` is the same in every row.
    """

    last: list[Tensor]
    now: int = 0


class Convolutional(nn.Module):
    """Causal dilated convolutions. While sampling, a row is the inputs that its layers still look back at."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options. It computes in float32, whatever the run's dtype.

        words       the vocabulary, if there is no tokenizer
        has_end     adds the token that ends a completion
        tokenizer   a `strop.Tokenizer`; `strop pretrain` sets it from the corpus
        width       numbers in an embedding and in a layer
        num_layers  layers, with distances 1, 2, 4, ... 128, 1, 2, ...
        kernel      inputs that a layer looks at
        tied        the output weights are those of the embedding
        dropout     share of the numbers that each layer adds that is dropped in pretraining
        value_head  adds the value that actor-critic algorithms and reward models read
        """

        words: Sequence[str] = ()
        has_end: bool = True
        tokenizer: Tokenizer | None = None
        width: int = 256
        num_layers: int = 6
        kernel: int = 3
        tied: bool = True
        dropout: float = 0.0
        value_head: bool = False

        def __post_init__(self) -> None:
            check_fields(self)
            check_sizes(self.width, self.num_layers, self.dropout)
            check_at_least("policy.kernel", self.kernel, 2)

        def build(self, seed: int, dtype: str = "float32", device: str = "cpu") -> tuple[Language, WordCodec | HFCodec]:
            """The model initialised from `seed`, with the same numbers on every device, and its codec."""
            codec, size = codec_of(self.words, self.has_end, self.tokenizer)
            with seeded(seed):
                trunk = Convolutional(self.width, self.num_layers, self.kernel)
                net = Net.of(trunk, size, self.width, self.tied, self.value_head)
            return Language(net.to(device), size, Dropout(self.dropout, seed)), codec

    def __init__(self, width: int, num_layers: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)  # without it the first guess would be the last token once more
        self.layers = nn.ModuleList(_Layer(width, kernel, 2 ** (i % CYCLE)) for i in range(num_layers))

    def forward(self, inputs_BTH: Tensor, dropout: Dropout) -> Tensor:
        """The last layer's output at every position."""
        sum_BTH: Tensor = self.first(inputs_BTH)
        for layer in self._each():
            sum_BTH = sum_BTH + dropout(layer(layer.after_zeros(sum_BTH)))
        return sum_BTH

    def start(self, inputs_BTH: Tensor, length_B: Tensor) -> tuple[Tensor, Rings]:
        """Read rows of any lengths."""
        row_B1, rings, sum_BTH = torch.arange(len(length_B)).unsqueeze(1), Rings([]), self.first(inputs_BTH)
        for layer in self._each():
            normed_BSH = layer.after_zeros(sum_BTH)  # S = R + T: a row's last R inputs end at R + its length
            rings.last.append(normed_BSH[row_B1, length_B.unsqueeze(1) + torch.arange(layer.reach)])
            sum_BTH = sum_BTH + layer(normed_BSH)
        return sum_BTH[row_B1.squeeze(1), length_B - 1], rings

    def step(self, inputs_BH: Tensor, state: Rings) -> tuple[Tensor, Rings]:
        """One more input, which takes the place of the oldest in each ring."""
        sum_BH: Tensor = self.first(inputs_BH)
        for layer, last_BRH in zip(self._each(), state.last, strict=True):
            newest_BH, at = layer.norm(sum_BH), state.now % layer.reach
            seen = [last_BRH[:, (at + back) % layer.reach] for back in range(0, layer.reach, layer.distance)]
            sum_BH = sum_BH + layer.added(torch.cat([*seen, newest_BH], dim=-1))
            last_BRH[:, at] = newest_BH
        return sum_BH, Rings(state.last, state.now + 1)

    def keep(self, state: Rings, rows: Sequence[int]) -> Rings:
        """The inputs of these rows."""
        return Rings([last_BRH[list(rows)] for last_BRH in state.last], state.now)

    def join(self, states: Sequence[Rings]) -> Rings:
        """The inputs of all rows, each ring turned so that its oldest input stands first: all have the same `now`."""
        turned = [[last_BRH.roll(-state.now, dims=1) for last_BRH in state.last] for state in states]
        return Rings([torch.cat(layers) for layers in zip(*turned, strict=True)])

    def _each(self) -> list[_Layer]:
        return cast("list[_Layer]", list(self.layers))


class _Layer(nn.Module):
    """What one layer adds to its inputs."""

    def __init__(self, width: int, kernel: int, distance: int) -> None:
        super().__init__()
        self.distance, self.reach = distance, (kernel - 1) * distance
        self.norm, self.gated, self.mixed = (
            nn.LayerNorm(width),
            nn.Linear(kernel * width, 2 * width),
            nn.Linear(width, width),
        )

    def after_zeros(self, inputs_BTH: Tensor) -> Tensor:
        """The normed inputs, after as many zeros as the layer looks back."""
        return pad(self.norm(inputs_BTH), (0, 0, self.reach, 0))

    def forward(self, normed_BSH: Tensor) -> Tensor:
        """At every position that has all the inputs that it looks at."""
        num = normed_BSH.shape[1] - self.reach
        seen = [normed_BSH[:, first : first + num] for first in range(0, self.reach + 1, self.distance)]
        return self.added(torch.cat(seen, dim=-1))

    def added(self, seen: Tensor) -> Tensor:
        """From the `kernel` inputs that it looks at, the oldest first."""
        value, gate = self.gated(seen).chunk(2, dim=-1)
        mixed: Tensor = self.mixed(value.tanh() * gate.sigmoid())
        return mixed
