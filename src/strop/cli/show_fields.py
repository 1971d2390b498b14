"""The fields of a recipe, as they are typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import fill
from typing import TYPE_CHECKING

from strop.cli.output import console, print_json

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.control import ControlConfig
    from strop.reports.fields import Field
    from strop.stages import Stage

INDENT = "    "


def page(
    config: TrainConfig | ControlConfig | list[Stage],
    as_json: bool,
    command: str = "strop train RECIPE",
    parameters: Sequence[Field] = (),
) -> None:
    """Each field with its value and type, its default where that is another, and its meaning; the parameters of the
    recipe's function stand first."""
    from strop.reports.fields import fields_of

    found = [*parameters, *(_of_stages(config) if isinstance(config, list) else fields_of(config))]
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
    stage = f"{config[-1].name}." if isinstance(config, list) else ""
    out.print(f"\nA field is set as path=value: {command} {stage}steps=20", soft_wrap=True)


def _of_stages(stages: list[Stage]) -> list[Field]:
    """The fields of every stage, as they are typed."""
    from strop.reports.fields import fields_of

    return [replace(one, path=f"{stage.name}.{one.path}") for stage in stages for one in fields_of(stage.config)]


def _choices(one: Field) -> str:
    if not one.choices:
        return ""
    return ("In a recipe file: " if one.path.endswith("policy") else "One of ") + ", ".join(one.choices)
