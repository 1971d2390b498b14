"""The JSON tree of a checkpoint, put together with its tensors again. It needs no torch: the tensors may be numpy's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TENSOR, TUPLE, ITEMS = "$tensor", "$tuple", "$items"
"""A JSON object with one of these keys stands for something that JSON lacks."""


def unpack(tree: Any, tensors: Mapping[str, Any]) -> Any:
    """The state that was packed."""
    if isinstance(tree, list):
        return [unpack(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if TENSOR in tree:
        return tensors[tree[TENSOR]]
    if TUPLE in tree:
        return tuple(unpack(value, tensors) for value in tree[TUPLE])
    if ITEMS in tree:
        return {key: unpack(value, tensors) for key, value in tree[ITEMS]}
    return {key: unpack(value, tensors) for key, value in tree.items()}
