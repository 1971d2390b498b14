"""textgenrnn: a character LSTM with attention over its last 40 steps; its published weights are `policy="textgenrnn"`.

Source: Woolf, textgenrnn 2.0.0 (MIT). The last `window` tokens, before a text's first one token 0 as often as it takes,
are read from a state of zeros by LSTM layers, and averaged over the window's steps s under attention (`w` is a vector):

    c_s = [embedding_s, h1_s, h2_s],   a = softmax_s(w c_s),   logits = W sum_s a_s c_s + b

So each token is predicted from a window of its own. An LSTM that went on beyond 40 steps would be another model: with
the published weights the titles of the tests then cost 2.9 nats a character and not 0.9, since these layers count their
steps. A token's cost is `window` steps, however much stands before it.

Differs from the source: its sampler never draws token 0, and adds 1e-7 to each probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from strop.codec import HFCodec, WordCodec, codec_of
from strop.functional.bounds import check_at_least
from strop.policies._dropout import Dropout
from strop.policies._language import Language, Net, check_sizes
from strop.process import seeded
from strop.types import PolicyConfig, Tokenizer, check_fields

CHUNK = 256
"""Windows that are read at once; for the gradient they are read again, so that memory does not grow with the batch."""


class TextGenRNN(nn.Module):
    """The LSTM layers and their attention. Its inputs are tokens; while sampling, a row is its last `window` tokens."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options: the defaults are the shape of the published weights. It computes in float32.

        words       the vocabulary, if there is no tokenizer
        has_end     adds the token that ends a completion
        tokenizer   a `strop.Tokenizer`; `strop pretrain` sets it from the corpus
        window      the tokens that it reads
        embedding   numbers in an embedding
        width       numbers in a layer's state
        num_layers  LSTM layers, one above the other
        value_head  adds the value that actor-critic algorithms and reward models read
        """

        words: Sequence[str] = ()
        has_end: bool = True
        tokenizer: Tokenizer | None = None
        window: int = 40
        embedding: int = 100
        width: int = 128
        num_layers: int = 2
        value_head: bool = False

        def __post_init__(self) -> None:
            check_fields(self)
            check_sizes(self.width, self.num_layers, dropout=0.0)
            check_at_least("policy.window", self.window, 1)
            check_at_least("policy.embedding", self.embedding, 1)

        def build(self, seed: int, dtype: str = "float32", device: str = "cpu") -> tuple[Language, WordCodec | HFCodec]:
            """The model initialised from `seed`, and its codec. `strop.FromFolder(folder="textgenrnn")` has weights."""
            codec, size = codec_of(self.words, self.has_end, self.tokenizer)
            with seeded(seed):
                trunk = TextGenRNN(size, self.window, self.embedding, self.width, self.num_layers)
                output = nn.Linear(trunk.size, size)
                nn.init.normal_(output.weight, std=0.2 / trunk.size**0.5)
                nn.init.zeros_(output.bias)
                net = Net(nn.Identity(), trunk, nn.Identity(), output, trunk.size, self.value_head)
            return Language(net.to(device), size, Dropout(0.0, seed)), codec

    def __init__(self, vocabulary: int, window: int, embedding: int, width: int, num_layers: int) -> None:
        super().__init__()
        self.window, self.size = window, embedding + num_layers * width
        self.embedding = nn.Embedding(vocabulary, embedding)
        widths = [embedding, *[width] * num_layers]
        self.layers = nn.ModuleList(nn.LSTM(widths[i], width, batch_first=True) for i in range(num_layers))
        self.attention = nn.Parameter(torch.zeros(self.size))

    def forward(self, tokens_BT: Tensor, dropout: Dropout) -> Tensor:
        """The average over the window that ends at every position."""
        windows_NW = pad(tokens_BT, (self.window - 1, 0)).unfold(1, self.window, 1).flatten(0, 1)
        parts = [self._checkpointed(part_NW) for part_NW in torch.split(windows_NW, CHUNK)]
        return torch.cat(parts).view(*tokens_BT.shape, self.size)

    def start(self, tokens_BT: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """The window at the end of each row."""
        index_BW = length_B.unsqueeze(1) + torch.arange(self.window)
        last_BW = pad(tokens_BT, (self.window, 0)).gather(1, index_BW.to(tokens_BT.device))
        return self._average(last_BW), last_BW

    def step(self, tokens_B: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The window moves by one token."""
        last_BW = torch.cat([state[:, 1:], tokens_B.unsqueeze(1)], dim=1)
        return self._average(last_BW), last_BW

    def keep(self, state: Tensor, rows: Sequence[int]) -> Tensor:
        """The windows of these rows."""
        return state[list(rows)]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        """The windows of all rows."""
        return torch.cat(list(states))

    def _average(self, tokens_NW: Tensor) -> Tensor:
        outputs = [self.embedding(tokens_NW)]
        for layer in self.layers:
            outputs.append(layer(outputs[-1])[0])
        concatenated_NWC = torch.cat(outputs, dim=-1)
        attention_NW = torch.softmax(concatenated_NWC @ self.attention, dim=-1)
        return torch.einsum("nw,nwc->nc", attention_NW, concatenated_NWC)

    def _checkpointed(self, tokens_NW: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self._average(tokens_NW)
        average_NC: Tensor = checkpoint(self._average, tokens_NW, use_reentrant=False, preserve_rng_state=False)
        return average_NC
