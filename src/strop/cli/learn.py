"""let an assistant learn from what people said of its answers

Thumbs, comparisons, ratings and corrected answers since the version that serves are trained on, with some of earlier
rounds. The new version serves only if people are shown to prefer it and no guarded skill may have fallen; else the old
one stays, and the reason is printed. People who compared both decide, or a reward model that learnt from other people;
where there is neither, the new version waits for comparisons, and the same command judges it again.

With --continual it goes on until Ctrl-C: a round after so much new feedback, or every so many hours. Why a round begins
and what it comes to is printed; three that fail in a row end it. One process learns at a time; people may be served and
versions rolled back meanwhile.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, Interrupted, Problem, Usage, signal_of
from strop.cli.output import print_json, say

if TYPE_CHECKING:
    from strop.assistant.continual import When
    from strop.assistant.learning import Learnt

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

EXAMPLES = """\
examples:
  strop learn mine
  strop learn mine --judge people
  strop learn mine --continual --after 200
  strop learn mine --continual --every 6h
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("folder", metavar="DIR", help="the assistant's folder")
    parser.add_argument(
        "--judge", choices=("auto", "people", "model"), default="auto", help="who compares the versions (default: auto)"
    )
    parser.add_argument("--continual", action="store_true", help="go on, round after round, until Ctrl-C")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--every", metavar="TIME", help="a round so often: 90s, 30m, 6h or 1d")
    when.add_argument(
        "--after",
        metavar="N",
        type=int,
        help="a round after N new pieces of feedback (default: fewest_lessons of the assistant's settings)",
    )
    parser.add_argument("--json", action="store_true", help="print what each round comes to as JSON")


def run(args: argparse.Namespace) -> int:
    """Learn, and print what it came to."""
    if args.continual:
        return _continually(args)
    if args.every is not None or args.after is not None:
        raise Usage("--every and --after are of --continual.", hint=f"strop learn {args.folder} --continual")
    from strop.assistant.learning import learn

    _print(learn(args.folder, args.judge, tell=say), args.json)
    return DONE


def _continually(args: argparse.Namespace) -> int:
    from strop.assistant.continual import GaveUp, learn_continually

    given = [f"--{name} {value}" for name, value in (("every", args.every), ("after", args.after)) if value is not None]
    again = " ".join(["strop learn", args.folder, "--continual", *given])
    try:
        learn_continually(args.folder, _when(args), args.judge, tell=say, learnt=lambda found: _print(found, args.json))
    except GaveUp as error:
        raise Problem(str(error), hint=f"when that is mended: {again}") from error
    except KeyboardInterrupt as error:
        told = "stopped; what a round has begun is kept"
        raise Interrupted(told, f"to go on: {again}", signal_of(error)) from None
    return DONE


def _when(args: argparse.Namespace) -> When:
    from pathlib import Path

    from strop.assistant.continual import When
    from strop.assistant.home import Assistant

    if args.every is not None:
        return When(every=_seconds(args.every))
    return When(after=Assistant(Path(args.folder)).settings.fewest_lessons if args.after is None else args.after)


def _print(found: Learnt, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print(f"version {found.version}: {found.status}; version {found.serving} serves")
        print(found.verdict.why, flush=True)


def _seconds(text: str) -> float:
    """A time such as 6h, in seconds."""
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)):
        raise Usage(f"--every {text}: it is a time such as 90s, 30m, 6h or 1d.")
    return float(found[1]) * UNITS[found[2]]
