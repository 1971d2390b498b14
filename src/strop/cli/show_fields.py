"""The fields of a recipe, as they are typed."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from strop.cli.output import console, print_json

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.control import ControlConfig
    from strop.reports.fields import Field

INDENT = "    "


def page(config: TrainConfig | ControlConfig, as_json: bool) -> None:
    """Each field with its value and type, its default where that is another, and its meaning."""
    from strop.reports.fields import fields_of

    found = fields_of(config)
    if as_json:
        print_json(found)
        return
    out = console()
    for one in found:
        kind = "; ".join(filter(None, [one.type, one.default and f"default {one.default}"]))
        fits = len(one.line) + len(kind) + 4 <= out.width
        out.print(one.line, style="bold", end=f"  ({kind})\n" if kind and fits else "\n", soft_wrap=True)
        for text in filter(None, ["" if fits else kind, one.meaning, _choices(one)]):
            out.print(fill(text, out.width, initial_indent=INDENT, subsequent_indent=INDENT), soft_wrap=True)
    out.print("\nA field is set as path=value: strop train RECIPE steps=20", soft_wrap=True)


def _choices(one: Field) -> str:
    if not one.choices:
        return ""
    return ("In a recipe file: " if one.path == "policy" else "One of ") + ", ".join(one.choices)
