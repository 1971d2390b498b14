"""Write docs/methods: a page for each algorithm, from its own file and from what `strop verify` measures now.

python tools/method_pages.py            writes the pages
python tools/method_pages.py --check    fails where a page is not what its file says (measured gaps are not compared)
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import tomllib
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from strop import loader
from strop.plan import describe
from strop.spec import encode
from strop.verify.checks import Check, plan, run

FOLDER = Path(__file__).parents[1] / "docs" / "methods"
PARTS = {"Differs from": "How it differs from the paper", "Degenerates:": "When it fails"}
RECIPES = {"ilql": "guess_offline"}
"""Algorithms that have a recipe of their own."""
PREFIX = re.compile(r"^(Differs from (the|its) papers?|Degenerates): *")


def main() -> int:
    """Write or check every page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    check = options.parse_args().check
    pages = {module.name: page(module, not check) for module in loader.modules("algorithms")}
    pages["README"] = index([module.name for module in loader.modules("algorithms")])
    stale = [name for name, text in pages.items() if _differs(FOLDER / f"{name}.md", text)]
    if check:
        print("\n".join(f"docs/methods/{name}.md is out of date: make docs" for name in stale), end="")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages.items():
        (FOLDER / f"{name}.md").write_text(text)
    return 0


def page(module: loader.Module, measure: bool) -> str:
    """The page of one algorithm."""
    loaded = importlib.import_module(module.place)
    kind = getattr(loaded, module.configured[0])
    title, _, rest = loaded.__doc__.strip().partition("\n")
    purpose = tomllib.loads((FOLDER / "purpose.toml").read_text())[module.name]
    parts = [
        f"# {title.rstrip('.')}",
        f"**Use it for:** {purpose}",
        *_sections(rest),
        _options(kind),
        _example(module.name, kind),
    ]
    parts.append(_verified(title.partition(":")[0], measure))
    return "\n\n".join(part for part in parts if part) + "\n"


def index(names: list[str]) -> str:
    """The list of pages."""
    lines = ["# Methods", "", "One page an algorithm, made from its file by `make docs`.", ""]
    for name in names:
        title = importlib.import_module(f"strop.algorithms.{name}").__doc__.strip().partition("\n")[0].rstrip(".")
        lines.append(f"- [{title}]({name}.md)")
    return "\n".join([*lines, "", "[Which one for my problem?](../choosing.md)", ""])


def _sections(text: str) -> list[str]:
    """The docstring's paragraphs; what says where it differs and fails gets a heading."""
    found: list[str] = []
    for line in text.strip("\n").splitlines():
        heading = next((heading for start, heading in PARTS.items() if line.startswith(start)), None)
        if heading:
            rest = PREFIX.sub("", line)
            found += ["", f"## {heading}", "", rest[:1].upper() + rest[1:]]
        else:
            found.append(line)
    return [re.sub(r"\n{3,}", "\n\n", "\n".join(found)).strip("\n")]


def _options(kind: Any) -> str:
    rows = [f"| `{field.name}` | {_default(field)} |" for field in fields(kind.Config)]
    text = kind.Config.__doc__ or ""
    note = " ".join(line.strip() for line in text.strip().splitlines())
    table = "\n".join(["| field | default |", "|---|---|", *rows])
    return f"## Options\n\n{note}\n\n{table}\n\nMemory: {kind.Config.memory.__qualname__.partition('.')[0]}."


def _default(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return f"{field.default}".lower() if field.default in (None, True, False) else f"{field.default}"
    assert field.default_factory is not MISSING
    return describe(encode(field.default_factory()))


def _example(name: str, kind: Any) -> str:
    """A command that runs as it stands, or for data the line that it needs."""
    if name in RECIPES:
        return f"## Try it\n\n    strop train {RECIPES[name]}"
    config = {field.name for field in fields(kind.Config)}
    if kind.Config.reads == "preferences":
        extra = " policy.value_head=true" if name in ("reward_model", "process_reward_model") else ""
        return (
            '## Try it\n\n`pairs.jsonl` holds lines such as `{"prompt": "apple", "chosen": "apple", '
            f'"rejected": "bread"}}`:\n\n    strop train copy_word algorithm={name} data=pairs.jsonl{extra}'
        )
    if kind.Config.reads == "teacher":
        return ""
    recipe = "two_words" if "rate" in config else "copy_word"
    extra = " policy.value_head=true" if config & {"critic"} else ""
    return f"## Try it\n\n    strop train {recipe} algorithm={name}{extra}"


def _verified(method: str, measure: bool) -> str:
    """What `strop verify` says of it, measured now."""
    try:
        planned = plan(full=True, names=[method])
    except ValueError:
        return ""
    planned = [one for one in planned if one.method.casefold() == method.casefold()]
    rows = [_row(found) for one in planned if not one.is_learning for found in (run(one) if measure else [])]
    learning = [f"- {one.must_equal} (`strop verify --full {method!r}`)" for one in planned if one.is_learning]
    table = "\n".join(["| must equal | gap | tolerance |", "|---|---|---|", *rows]) if rows else ""
    return "\n\n".join(part for part in ("## What it must equal", table, "\n".join(learning)) if part)


def _row(found: Check) -> str:
    must_equal = found.must_equal.replace("|", "\\|")
    return f"| {must_equal} | {found.gap:.1g} | {found.tolerance:.1g} |"


def _differs(file: Path, text: str) -> bool:
    """Whether the page says something else; the measured tables are left out."""

    def told(page: str) -> str:
        return page.partition("## What it must equal")[0]

    return not file.is_file() or told(file.read_text()) != told(text)


if __name__ == "__main__":
    sys.exit(main())
