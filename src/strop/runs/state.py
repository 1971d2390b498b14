"""A state (nested dicts, lists, tuples, tensors, plain values) as named tensors and a JSON tree, and back, exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from strop.runs.tree import ITEMS, TENSOR, TUPLE


def pack(state: Any) -> tuple[dict[str, Tensor], Any]:
    """`(tensors by name, JSON tree)`. Floats keep every bit, integers any size; tuples and integer keys survive."""
    tensors: dict[str, Tensor] = {}
    return tensors, _pack(state, "", tensors, set())


def _pack(value: Any, path: str, tensors: dict[str, Tensor], seen: set[int]) -> Any:
    if isinstance(value, Tensor):
        return {TENSOR: _add(value, path, tensors, seen)}
    if isinstance(value, dict):
        items = [(key, _pack(item, f"{path}/{key}".lstrip("/"), tensors, seen)) for key, item in value.items()]
        if all(type(key) is str and not key.startswith("$") for key in value):
            return dict(items)
        if not all(type(key) in (str, int) for key in value):
            raise ValueError(f"The state's {path or 'top'} has keys other than texts and integers: {list(value)[:3]}.")
        return {ITEMS: [list(item) for item in items]}
    if isinstance(value, (list, tuple)):
        packed = [_pack(item, f"{path}/{i}", tensors, seen) for i, item in enumerate(value)]
        return packed if isinstance(value, list) else {TUPLE: packed}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise ValueError(
        f"The state's {path or 'top'} is a {type(value).__module__}.{type(value).__name__}: a checkpoint holds dicts, "
        "lists, tuples, tensors, numbers, texts, booleans and None. Convert it in state_dict."
    )


def _add(tensor: Tensor, path: str, tensors: dict[str, Tensor], seen: set[int]) -> str:
    name = path if path and path not in tensors else f"{path}#{len(tensors)}"
    plain = tensor.detach().cpu().contiguous()
    storage = plain.untyped_storage().data_ptr()
    # safetensors refuses tensors that share memory (tied weights, views of one buffer), so a second one is copied.
    if storage in seen and plain.numel():
        plain = plain.clone()
    seen.add(plain.untyped_storage().data_ptr())
    tensors[name] = plain
    return name


def same(a: Any, b: Any) -> bool:
    """Whether two states are equal, tensors bit by bit (NaN equals NaN of the same bits)."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return (
            isinstance(a, Tensor)
            and isinstance(b, Tensor)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and (not a.numel() or torch.equal(_bits(a), _bits(b)))
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return repr(a) == repr(b)


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
