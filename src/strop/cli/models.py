"""list local models, or get one

`get` downloads a model once into the cache ($STROP_HOME, else strop/ in the user's cache folder).
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE, Usage
from strop.cli.output import print_json, print_rich, table
from strop.hub.models import SOURCES, get

EXAMPLES = """\
examples:
  strop models
  strop models get smollm2
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("action", nargs="?", choices=("get",), help="fetch a model (without it: list what is there)")
    parser.add_argument("name", nargs="?", help=f"which one: {', '.join(sorted(SOURCES))}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List or fetch."""
    from strop.reports.inventory import models

    if args.action == "get":
        return _get(args.name, args.json)
    if args.json:
        print_json(models())
        return DONE
    rows = [
        (
            one.name,
            f"{one.megabytes} MB" + ("" if one.path else " to download"),
            one.licence,
            one.path or f"not fetched yet: strop models get {one.name}",
        )
        for one in models()
    ]
    print_rich(table(["model", "size", "licence", "where"], rows))
    return DONE


def _get(name: str | None, as_json: bool) -> int:
    """Fetch a model, and print only its path, for scripts."""
    from strop.reports.inventory import megabytes

    if name not in SOURCES:
        what = f"there is no model {name!r} to get." if name else "which model?"
        raise Usage(what, hint=f"strop models get NAME, where NAME is {', '.join(sorted(SOURCES))}")
    path = get(name)
    print_json({"path": str(path), "megabytes": megabytes(path)}) if as_json else print(path)
    return DONE
