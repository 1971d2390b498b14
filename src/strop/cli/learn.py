"""let an assistant learn from what people said of its answers

Thumbs, comparisons and corrected answers since the version that serves are trained on, with some of earlier rounds. The
new version serves only if people are shown to prefer it and no guarded skill may have fallen; else the old one stays,
and the reason is printed. People who compared both decide, or a reward model that learnt from other people; where
there is neither, the new version waits for comparisons, and the same command judges it again.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE
from strop.cli.output import print_json, say

EXAMPLES = """\
examples:
  strop learn mine
  strop learn mine --judge people
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("folder", metavar="DIR", help="the assistant's folder")
    parser.add_argument(
        "--judge", choices=("auto", "people", "model"), default="auto", help="who compares the versions (default: auto)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Learn, and print what it came to."""
    from strop.assistant.learning import learn

    found = learn(args.folder, args.judge, tell=say)
    if args.json:
        print_json(found)
        return DONE
    print(f"version {found.version}: {found.status}; version {found.serving} serves")
    print(found.verdict.why)
    return DONE
