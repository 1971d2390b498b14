"""What the page of a planning method has in place of options and a command: its names, and a script that runs."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import runpy
import textwrap
from pathlib import Path

from strop import loader

EXAMPLES = Path(__file__).parents[1] / "docs" / "methods" / "examples"


def contents(module: loader.Module) -> str:
    """Its public functions and classes, in the order of the file."""
    lines = [f"- `{_call(module, name)}`: {summary}" for name, summary in module.summaries.items()]
    return "\n".join(["## In `strop.planning`", "", *lines])


def _call(module: loader.Module, name: str) -> str:
    """A function with the names of what it takes; of a class its name."""
    if name in module.classes:
        return name
    taken = inspect.signature(getattr(importlib.import_module(module.place), name)).parameters
    return f"{name}({', '.join(taken)})"


def example(name: str) -> str:
    """The script examples/NAME.py and what it prints."""
    script = EXAMPLES / f"{name}.py"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(str(script))
    code, output = script.read_text().strip(), textwrap.indent(printed.getvalue().rstrip(), "    ")
    return f"## Try it\n\n```python\n{code}\n```\n\nIt prints\n\n{output}"
