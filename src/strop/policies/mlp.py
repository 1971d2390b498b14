"""A small network over a vector observation: a logit (or action value) for each action, and optionally a value."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from strop.codec import VectorCodec
from strop.policies._heads import LOGITS, scatter
from strop.policies.demands import require_values
from strop.process import seeded
from strop.types import Batch, Heads, PolicyConfig, Reduce, State, Tokens, Want, WeightsLock, check_fields

HIDDEN_GAIN, POLICY_GAIN, VALUE_GAIN = math.sqrt(2.0), 0.01, 1.0
"""Gains of the orthogonal initialisation: the initial policy is nearly uniform."""
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


class MLP:
    """A network from `size` numbers to one output for each action, in float32; every turn is a separate row.

    With `value_head` the value has a network of its own, or with `shared` another output of the same layers. The
    prompt's ids are those of `VectorCodec`: bit patterns of float32 above the actions.
    """

    layout: Literal["joined", "per_turn"] = "per_turn"
    context: int | None = None

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyConfig):
        """Its options.

        actions     the words that the policy chooses from
        size        numbers in an observation
        hidden      widths of the hidden layers
        activation  after each hidden layer: tanh or relu
        value_head  adds the value that actor-critic algorithms and reward models read
        shared      the value is another output of the policy's layers; otherwise it has its own layers
        """

        actions: Sequence[str]
        size: int
        hidden: tuple[int, ...] = (64, 64)
        activation: Literal["tanh", "relu"] = "tanh"
        value_head: bool = False
        shared: bool = False

        def __post_init__(self) -> None:
            check_fields(self)
            if self.size < 1 or any(width < 1 for width in self.hidden):
                raise ValueError(f"policy.size={self.size}, policy.hidden={self.hidden}: a width is at least 1.")
            if self.activation not in ACTIVATIONS:
                raise ValueError(f"policy.activation={self.activation!r}: it is one of {', '.join(ACTIVATIONS)}.")

        def build(self, seed: int, dtype: str = "float32", device: str = "cpu") -> tuple[MLP, VectorCodec]:
            """The network initialised from `seed`, with the same numbers on every device, and its codec.

            It is always float32, since it is small.
            """
            codec = VectorCodec(self.actions, self.size)
            with seeded(seed):
                net = MLP(len(self.actions), self.size, self.hidden, self.value_head, self.shared, self.activation)
            net.net.to(device)
            return net, codec

    def __init__(
        self,
        vocabulary: int,
        size: int,
        hidden: Sequence[int] = (64, 64),
        value_head: bool = False,
        shared: bool = False,
        activation: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        self.lock = WeightsLock()
        self.vocabulary, self.size, self.has_values = vocabulary, size, value_head
        width = hidden[-1] if hidden else size
        self.net = nn.ModuleDict(
            {"trunk": _trunk(size, hidden, activation), "policy": _layer(width, vocabulary, POLICY_GAIN)}
        )
        if value_head:
            self.net["value"] = _layer(width, 1, VALUE_GAIN)
        if value_head and not shared:
            self.net["value_trunk"] = _trunk(size, hidden, activation)

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        """The logits of each observation. There is no state: a vector is never continued."""
        return self._logits(self._observed(torch.tensor(prompts))), None

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        """Refused: an action is one token."""
        raise ValueError("a policy over vectors acts with one token a turn: set sampling.max_tokens=1.")

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """There is no state."""
        return None

    def join(self, states: Sequence[Any]) -> Any:
        """There is no state."""
        return None

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """One chunk: the outputs are few."""
        if "value" in want:
            require_values(self)
        decision_BT = batch.decision_BT
        row_N, slot_N = decision_BT.nonzero(as_tuple=True)
        if bool((slot_N != self.size).any()):
            raise ValueError(f"an action follows more or fewer than the {self.size} numbers that the policy reads.")
        observed_NS = self._observed(batch.tokens_BT[row_N, : self.size])
        logits_NV = self._logits(observed_NS) if want & {"logits", "q"} else None
        heads = Heads(
            tokens_N=batch.tokens_BT[decision_BT].to(self.device),
            logits_NV=logits_NV if "logits" in want else None,
            value_N=self._value(observed_NS) if "value" in want else None,
            q_NV=logits_NV if "q" in want else None,
        )
        return {name: scatter(number_N, decision_BT) for name, number_N in reduce(heads).items()}

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.net.parameters()).device

    def _observed(self, tokens_NS: Tensor) -> Tensor:
        """The observations that the token ids encode, on the network's device."""
        if tokens_NS.shape[1] != self.size:
            raise ValueError(f"an observation has {tokens_NS.shape[1]} numbers, but the policy reads {self.size}.")
        bits_NS = tokens_NS - self.vocabulary
        signed_NS = torch.where(bits_NS >= 2**31, bits_NS - 2**32, bits_NS)
        return signed_NS.to(torch.int32).view(torch.float32).to(self.device)

    def _logits(self, observed_NS: Tensor) -> Tensor:
        logits_NV: Tensor = self.net["policy"](self.net["trunk"](observed_NS))
        return logits_NV

    def _value(self, observed_NS: Tensor) -> Tensor:
        trunk = self.net["value_trunk" if "value_trunk" in self.net else "trunk"]
        value_N1: Tensor = self.net["value"](trunk(observed_NS))
        return value_N1.squeeze(-1)

    def reference(self) -> MLP:
        """A frozen copy."""
        frozen = self.twin()
        frozen.net.requires_grad_(False)
        return frozen

    def twin(self) -> MLP:
        """A copy with parameters of its own."""
        return copy.deepcopy(self)

    def parameters(self) -> list[Parameter]:
        """All parameters of the network."""
        return list(self.net.parameters())

    def state_dict(self) -> State:
        return {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}

    def load_state_dict(self, state: State) -> None:
        with self.lock.changing():
            self.net.load_state_dict(state)


def _trunk(size: int, hidden: Sequence[int], activation: str) -> nn.Sequential:
    """The hidden layers."""
    widths = [size, *hidden]
    layers = (
        (_layer(below, above, HIDDEN_GAIN), ACTIVATIONS[activation]()) for below, above in itertools.pairwise(widths)
    )
    return nn.Sequential(*itertools.chain.from_iterable(layers))


def _layer(below: int, above: int, gain: float) -> nn.Linear:
    """A linear layer with orthogonal initial weights and zero bias."""
    layer = nn.Linear(below, above)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
