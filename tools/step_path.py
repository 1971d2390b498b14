"""How many lines of code a reader follows through one GRPO step of a language model, from the loop to the weights.

    python tools/step_path.py

Docstrings, comments and empty lines do not count. MAIN is what a step is. BELOW is called by MAIN, and does what its
names say: it is listed, and not added. Not listed are the sampler, a user's environment and reward, and `functional/`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "strop"
MAIN = {
    "loop.py": ["loop"],
    "rollout/engine.py": ["EmbeddedEngine.rollout", "EmbeddedEngine.play", "EmbeddedEngine._together"],
    "rollout/quota.py": ["Quota.fill"],
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
"""The functions on the way, in the order in which a step goes through them.

Before there was a learner they were 300 lines: loop, EmbeddedEngine.rollout and _play, play, _act, collate, _rows_of,
_tensors, GRPO.__init__ and update, Scorer.learn, _by_signal, _terms and score, score, Optimizer.step.
"""
BELOW = {
    "rollout/engine.py": ["EmbeddedEngine._with_greedy"],
    "rollout/quota.py": ["Quota._accepts"],
    "rollout/play.py": [
        "_start",
        "_sample",
        "_answered",
        "_read",
        "_next",
        "_look_ahead",
        "_check_context",
        "_refuse_non_finite",
        "_close",
        "_episode",
    ],
    "rollout/rewards.py": ["score"],
    "batch.py": ["_row_for", "_append", "_placed", "_allowed", "_next", "_rows", "_picks", "_parts"],
    "types/batch.py": ["Batch.rows", "Batch.split", "_pack", "_take"],
    "learners/policy_gradient.py": ["PolicyGradient._read"],
    "learners/logprobs.py": ["require_on_policy", "sampler_metrics"],
    "learners/reference.py": ["Reference.logprobs", "Reference.penalty", "Reference.loss", "Reference.metrics"],
    "optimizer.py": ["Optimizer._gradient_norm", "Optimizer._rate", "_put"],
}
"""What they call: time limits and failures, tensors of rows, packing of micro-batches, a KL that is off, metrics."""


def counted(path: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The lines of each function."""
    return {f"{file}: {name}": lines(SOURCE / file, name) for file, names in path.items() for name in names}


def lines(file: Path, name: str) -> int:
    """The lines of code of one function, its signature included."""
    text = file.read_text(encoding="utf-8")
    function = _found(ast.parse(text), name.split("."))
    inside = text.splitlines()[function.lineno - 1 : function.end_lineno]
    text_lines = {number - function.lineno for node in ast.walk(function) for number in _docstring(node)}
    return sum(1 for i, line in enumerate(inside) if i not in text_lines and line.strip() and line.strip()[0] != "#")


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
    for path in MAIN, BELOW:
        found = counted(path)
        print("\n".join(f"{number:4}  {name}" for name, number in found.items()))
        print(f"{sum(found.values()):4}  in all\n")
