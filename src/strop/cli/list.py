"""list recipes, algorithms, environments, rewards and models

One line each, read from the files without importing them; plug-ins are included.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from strop.cli.errors import DONE
from strop.cli.output import console, pairs, print_json, print_rich

if TYPE_CHECKING:
    from strop.reports.inventory import Entry

ROOMS = ("recipes", "algorithms", "environments", "rewards", "models")

EXAMPLES = """\
examples:
  strop list
  strop list rewards
  strop list recipes --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("room", nargs="?", choices=ROOMS, help="only these (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the lists."""
    from strop.reports import inventory

    found = {room: inventory.entries(room) for room in ([args.room] if args.room else ROOMS)}
    if args.json:
        print_json(found[args.room] if args.room else found)
        return DONE
    for number, (room, entries) in enumerate(found.items()):
        console().print(("\n" if number else "") + room, style="bold underline")
        print_rich(pairs((entry.name, _line(room, entry)) for entry in entries))
    return DONE


def _line(room: str, entry: Entry) -> str:
    if room != "models":
        return entry.summary
    return entry.place or f"not fetched yet: strop models get {entry.name}"
