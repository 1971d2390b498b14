"""list recipes, algorithms, environments, rewards, baselines, models and corpora

One line each, read from the files without importing them; plug-ins are included.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from strop.cli.errors import DONE
from strop.cli.output import console, pairs, print_json, print_rich

if TYPE_CHECKING:
    from strop.reports.inventory import CorpusEntry, Entry

ROOMS = ("recipes", "algorithms", "environments", "rewards", "baselines", "models", "corpora")

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

    rooms = [args.room] if args.room else ROOMS
    found = {room: inventory.corpora() if room == "corpora" else inventory.entries(room) for room in rooms}
    if args.json:
        print_json(found[args.room] if args.room else found)
        return DONE
    for number, (room, entries) in enumerate(found.items()):
        console().print(("\n" if number else "") + room, style="bold underline")
        lines = (_corpus(one) if isinstance(one, inventory.CorpusEntry) else _line(room, one) for one in entries)
        print_rich(pairs(zip((one.name for one in entries), lines, strict=True)))
    return DONE


def _line(room: str, entry: Entry) -> str:
    if room != "models":
        return entry.summary
    return entry.place or f"not fetched yet: strop models get {entry.name}"


def _corpus(one: CorpusEntry) -> str:
    here = "on this machine" if one.place else f"downloaded on first use ({one.download_mb} MB)"
    return f"{one.summary}. {one.language}, {one.megabytes} MB, {one.licence}; {here}"
