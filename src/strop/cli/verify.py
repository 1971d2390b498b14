"""check every algorithm against its exact answer

Each row says what a method must equal, how far it is from that here and now, and how far it may be. NAME keeps the
rows of one method or of one family of methods; --full adds learning runs over five seeds, with the best and the worst.
"""

from __future__ import annotations

import argparse

EXAMPLES = """\
examples:
  strop verify
  strop verify RLOO KL
  strop verify --full --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these methods or families (default: all)")
    parser.add_argument("--full", action="store_true", help="the learning runs too: minutes instead of seconds")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Check."""
    from strop.cli import verifying

    return verifying.show(verifying.check(args.full, args.names), args.json)
