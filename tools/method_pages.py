"""Write docs/methods: a page for each method, from its own file and from what `strop verify` measures now.

python tools/method_pages.py [NAME ...]    writes the pages (default: all); a name is a file of algorithms or planning
python tools/method_pages.py --check       fails where a page is not what its file says (measured gaps are not compared)
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

from planning_pages import contents, example

from strop import loader
from strop.reports.fields import meanings
from strop.reports.plan import title
from strop.reports.settings import every_setting
from strop.runs.spec import encode
from strop.verify.checks import Result, find, measure

FOLDER = Path(__file__).parents[1] / "docs" / "methods"
ALGORITHMS = loader.modules("algorithms")
PLANNING = [module for module in loader.modules("planning") if module.name not in ("mdp", "planner")]
"""The methods: not the tables that they share, and not the algorithm of a run that is made of them."""
COMMANDS = {
    "counting": "train nursery",
    "ilql": "train guess_offline",
    "masked_lm": "pretrain grimm model=masked",
}
"""Algorithms that have a recipe or a command of their own."""
VERIFIED = {
    "beam": "Beam search",
    "boltzmann": "KL-regularised optimum",
    "evaluation": "Policy evaluation",
    "game_search": "Game search",
    "mcts": "Tree search",
    "reinforce_pp": "REINFORCE++",
}
"""What `strop verify` calls a file, where that is not the file's name."""
DIFFERS, FAILS = re.compile(r"Differs from ([^:]+): *"), re.compile(r"Degenerates: *")
FORMULA = re.compile(r"\w+ = ")


def main() -> int:
    """Write or check the pages."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", metavar="NAME", help="the pages to write; default: all")
    options.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    given = options.parse_args()
    known = {module.name: module for module in (*ALGORITHMS, *PLANNING)}
    if unknown := set(given.names) - set(known):
        options.error(f"no method is called {', '.join(sorted(unknown))}")
    pages = {name: page(known[name], not given.check) for name in given.names or known}
    pages["README"] = index()
    if given.check:
        stale = [name for name, text in pages.items() if _differs(FOLDER / f"{name}.md", text)]
        print("\n".join(f"docs/methods/{name}.md is out of date: make docs" for name in stale), end="")
        return 1 if stale else 0
    for name, text in pages.items():
        (FOLDER / f"{name}.md").write_text(text)
    return 0


def page(module: loader.Module, is_measured: bool) -> str:
    """The page of one method."""
    loaded = importlib.import_module(module.place)
    title, _, rest = loaded.__doc__.strip().partition("\n")
    purpose = tomllib.loads((FOLDER / "purpose.toml").read_text())[module.name]
    if module in PLANNING:
        own = [contents(module), example(module.name)]
    else:
        kind = getattr(loaded, module.configured[0])
        own = [_options(kind), _example(module.name, kind)]
    parts = [
        f"# {title.rstrip('.')}",
        f"**Use it for:** {purpose}",
        _sections(rest),
        *own,
        _verified(module.name, is_measured),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def index() -> str:
    """The list of pages."""
    lines = ["# Methods", "", "One page a method, made from its file by `make docs`."]
    for heading, modules in (("Algorithms", ALGORITHMS), ("Planning and search", PLANNING)):
        lines += ["", f"## {heading}", ""]
        lines += [f"- [{module.summary.rstrip('.')}]({module.name}.md)" for module in modules]
    return "\n".join([*lines, "", "[Which one for my problem?](../choosing.md)", ""])


def _sections(text: str) -> str:
    """The docstring's paragraphs; what says where it differs and fails gets a heading."""
    found: list[str] = []
    for line in text.splitlines():
        if match := DIFFERS.match(line):
            found += ["", f"## How it differs from {match[1]}", ""]
        elif match := FAILS.match(line):
            found += ["", "## When it fails", ""]
        found.append(_sentence(line[match.end() :]) if match else line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(found)).strip("\n")


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a formula."""
    return text if FORMULA.match(text) else text[:1].upper() + text[1:]


def _options(kind: Any) -> str:
    told = meanings(kind.Config)
    rows = [f"| `{field.name}` | {_default(field)} | {told[field.name]} |" for field in fields(kind.Config)]
    table = "\n".join(["| field | default | meaning |", "|---|---|---|", *rows]) if rows else "None."
    return f"## Options\n\n{table}\n\nMemory: {kind.Config.memory.__qualname__.partition('.')[0]}."


def _default(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return f"{field.default}".lower() if field.default in (None, True, False) else f"{field.default}"
    assert field.default_factory is not MISSING
    spec = encode(field.default_factory())
    return f"{title(spec)} ({', '.join(every_setting(spec))})"


def _example(name: str, kind: Any) -> str:
    """A command that runs as it stands, or for data the line that it needs."""
    if name in COMMANDS:
        return f"## Try it\n\n    strop {COMMANDS[name]}"
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


def _verified(name: str, is_measured: bool) -> str:
    """What `strop verify` says of it, measured now."""
    checks = find(full=True, names=[VERIFIED.get(name, name)])
    rows = [_row(result) for one in checks if not one.is_learning for result in (measure(one) if is_measured else [])]
    learning = [f"- {one.must_equal} (`strop verify --full {one.method!r}`)" for one in checks if one.is_learning]
    table = "\n".join(["| must equal | gap | tolerance |", "|---|---|---|", *rows]) if rows else ""
    return "\n\n".join(part for part in ("## What it must equal", table, "\n".join(learning)) if part)


def _row(result: Result) -> str:
    must_equal = result.must_equal.replace("|", "\\|")
    return f"| {must_equal} | {result.gap:.1g} | {result.tolerance:.1g} |"


def _differs(file: Path, text: str) -> bool:
    """Whether the page says something else; the measured tables are left out."""

    def without_gaps(page: str) -> str:
        return page.partition("## What it must equal")[0]

    return not file.is_file() or without_gaps(file.read_text()) != without_gaps(text)


if __name__ == "__main__":
    sys.exit(main())
