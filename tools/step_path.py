"""How many lines of code a reader follows through one GRPO step of a language model, from the loop to the weights.

    python tools/step_path.py

Docstrings, comments and empty lines do not count. What these functions call is named where it is called, and can be
taken at its word: how a sampler decodes, what an environment and a reward do, how a row of tokens is put together, how
metrics are made, the formulas of `functional/`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "strop"
PATH = {
    "loop.py": ["loop"],
    "rollout/engine.py": ["EmbeddedEngine.rollout", "EmbeddedEngine._play"],
    "rollout/play.py": ["play", "_act"],
    "batch.py": ["collate", "_rows_of", "_slots"],
    "algorithms/grpo.py": ["GRPO.Config.build"],
    "learners/policy_gradient.py": [
        "PolicyGradient.update",
        "PolicyGradient._steps",
        "PolicyGradient._by_signal",
        "PolicyGradient._terms",
        "PolicyGradient._term",
    ],
    "learners/logprobs.py": ["read_actions"],
    "optimizer.py": ["Optimizer.step"],
}
"""The functions on the way, in the order in which a step goes through them."""


def counted() -> dict[str, int]:
    """The lines of each function."""
    return {f"{file}: {name}": lines(SOURCE / file, name) for file, names in PATH.items() for name in names}


def lines(file: Path, name: str) -> int:
    """The lines of code of one function, its signature included."""
    text = file.read_text(encoding="utf-8")
    function = _found(ast.parse(text), name.split("."))
    inside = text.splitlines()[function.lineno - 1 : function.end_lineno]
    told = {number - function.lineno for node in ast.walk(function) for number in _docstring(node)}
    return sum(1 for i, line in enumerate(inside) if i not in told and line.strip() and line.strip()[0] != "#")


def _found(node: ast.Module | ast.ClassDef | ast.FunctionDef, names: list[str]) -> ast.FunctionDef:
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef) and inner.name == names[0]:
            return _found(inner, names[1:]) if len(names) > 1 else _function(inner)
    raise LookupError(f"there is no {names[0]}")


def _function(node: ast.ClassDef | ast.FunctionDef) -> ast.FunctionDef:
    assert isinstance(node, ast.FunctionDef)
    return node


def _docstring(node: ast.AST) -> Iterator[int]:
    """The numbers of its docstring's lines."""
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
        yield from range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


if __name__ == "__main__":
    found = counted()
    print("\n".join(f"{number:4}  {name}" for name, number in found.items()))
    print(f"{sum(found.values()):4}  together")
