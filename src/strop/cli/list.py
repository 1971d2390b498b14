"""list recipes, algorithms, environments, rewards and models

One line each, read from their files without importing them, third parties' included.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE
from strop.cli.output import print_json

ROOMS = ("recipes", "algorithms", "environments", "rewards", "models")

EXAMPLES = """\
examples:
  strop list
  strop list rewards
  strop list recipes --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("room", nargs="?", choices=ROOMS, help="only these (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print what there is."""
    from strop.cli import inventory

    found = {room: inventory.entries(room) for room in ([args.room] if args.room else ROOMS)}
    if args.json:
        print_json(found[args.room] if args.room else found)
    else:
        inventory.show(found)
    return DONE
