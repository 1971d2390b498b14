"""list local models, or get one

`get` downloads a model once into the cache ($STROP_HOME, else strop/ in the user's cache folder).
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE, Usage
from strop.cli.output import print_json
from strop.hub.models import SOURCES, get

EXAMPLES = """\
examples:
  strop models
  strop models get smollm2
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("action", nargs="?", choices=("get",), help="fetch a model (without it: list what is there)")
    parser.add_argument("name", nargs="?", help=f"which one: {', '.join(sorted(SOURCES))}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List or fetch."""
    from strop.cli import model_shelf

    if args.action == "get":
        if args.name not in SOURCES:
            what = f"there is no model {args.name!r} to get." if args.name else "which model?"
            raise Usage(what, hint=f"strop models get NAME, where NAME is {', '.join(sorted(SOURCES))}")
        model_shelf.got(get(args.name), as_json=args.json)
    elif args.json:
        print_json(model_shelf.shelf())
    else:
        model_shelf.show()
    return DONE
