"""The weights of a policy over a Hugging Face model: which of them train, and how they are copied and saved."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import Linear, Parameter

from strop.policies.adapters import merge_in_place
from strop.process import ALONE
from strop.types import State, WeightsLock

VALUE_HEAD = "value_head"


class Weights:
    """A model without dropout, and linear heads beside it, by name.

    With `has_adapter` only the adapter and the heads are trained and saved. `dtype` is the computing type: float32, or
    bfloat16 by autocast over float32 weights. All of it is on the model's device.
    """

    def __init__(self, model: Any, has_adapter: bool, dtype: str, added: Mapping[str, Linear]) -> None:
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype={dtype!r}: a transformer computes in float32 or bfloat16.")
        self.model = model.eval()  # with dropout, log-probs in training would differ from those in sampling
        self.lock = WeightsLock()
        self.has_adapter, self.dtype, self.added = has_adapter, dtype, dict(added)
        self._base_hash: str | None = None

    def twin(self) -> Self:
        """A copy with trainable tensors of its own; frozen ones (the base under an adapter) are shared."""
        trains = {id(parameter) for parameter in self.parameters()}
        shared: dict[int, Any] = {id(p): p for p in self.model.parameters() if id(p) not in trains}
        return copy.deepcopy(self, shared)

    def parameters(self) -> list[Parameter]:
        """The trainable tensors in the model's order; those of the heads come last."""
        return list(self._trainable().values())

    def _trainable(self) -> dict[str, Parameter]:
        named = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        for name, head in self.added.items():
            named |= {f"{name}.{part}": p for part, p in head.named_parameters()}
        return named

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
        """SHA-256 of every frozen tensor, but for adapters that rest. Computed once: frozen tensors do not change."""
        if self._base_hash is None:
            named = self.model.named_parameters()
            self._base_hash = _hash_of({name: p for name, p in named if not p.requires_grad and ".lora_" not in name})
        return self._base_hash

    def merge(self, is_base: bool) -> str | None:
        """Add the adapter to the model's weights, which all train then. As the base of another adapter it is known by
        what was merged, whose hash this returns: the bits of the sum are those of one processor."""
        merged = _hash_of(dict(self.model.named_parameters())) if self.has_adapter and is_base else None
        merge_in_place(self.model)
        return merged

    def follow(self, before: Weights, base: str | None, heads: Iterable[str]) -> None:
        """Go on from other weights that were merged, to `base`; these heads, where both have them, are as they were."""
        self._base_hash = base
        for name in heads:
            if name in self.added and name in before.added:
                self.added[name].load_state_dict(before.added[name].state_dict())


def freeze_head(model: Any) -> None:
    """Leave alone what only the model's output head reads: nothing trains it."""
    body = {id(parameter) for parameter in model.base_model.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in body)


def zero_head(width: int, outputs: int, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Linear:
    """A linear head that starts at 0, in this type but at least in float32."""
    with ALONE:  # torch draws weights from its global generator
        head = Linear(width, outputs, dtype=torch.promote_types(dtype, torch.float32), device=device)
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
