"""The enumerable language model of `strop.verify`, under the name that the exact tests use."""

from strop.verify.tree import (
    PROMPT,
    Distributions,
    Tree,
    ascent,
    built_at,
    cosine,
    expected_ascent,
    random_weights,
    relative,
    set_weights,
    table_tree,
)

__all__ = [
    "PROMPT",
    "Distributions",
    "Tree",
    "ascent",
    "built_at",
    "cosine",
    "expected_ascent",
    "random_weights",
    "relative",
    "set_weights",
    "table_tree",
]
