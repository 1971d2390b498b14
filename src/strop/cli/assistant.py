"""show an assistant that learns: its versions, what each learnt from, what waits; or go back to a version

Reads only the assistant's files, and loads no model. A rollback is to a version that has served before; it is one small
file that is replaced, and the others stay.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE, Usage
from strop.cli.output import print_json, say

EXAMPLES = """\
examples:
  strop assistant mine
  strop assistant mine --json
  strop assistant mine rollback 3
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("folder", metavar="DIR", help="the assistant's folder")
    parser.add_argument("action", nargs="?", choices=("rollback",), help="let an earlier version serve again")
    parser.add_argument("version", nargs="?", type=int, metavar="VERSION", help="the version to go back to")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the assistant, or change which version serves."""
    from pathlib import Path

    from strop.assistant.home import Assistant
    from strop.assistant.overview import overview_of
    from strop.cli import show_assistant

    assistant = Assistant(Path(args.folder))
    if args.action == "rollback":
        if args.version is None:
            raise Usage("rollback to which version?", hint=f"strop assistant {args.folder} shows them")
        before = overview_of(assistant).serving
        with assistant.lock():
            assistant.versions.rollback(args.version)
        say(f"version {args.version} serves; before it version {before} did")
    found = overview_of(assistant)
    if args.json:
        print_json(found)
    else:
        show_assistant.page(found)
    return DONE
