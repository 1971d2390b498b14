"""show a run in the terminal: status, config, curves, verdicts, events, best and worst episode

Reads only the run's files, also while it trains, and loads no model. A sweep is shown as its table: means over
seeds, and every run. Of a run of several stages every stage is listed, and the last that has begun is shown.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE
from strop.cli.output import print_json

EXAMPLES = """\
examples:
  strop show runs/first
  strop show first --episodes 10
  strop show first --json
  strop show tales --dropped
  strop show runs/sweep
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("run_name", metavar="RUN", help="a run's or a sweep's folder, or its name in ./runs")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--episodes", type=int, metavar="STEP", help="every training episode of a step instead")
    instead.add_argument("--dropped", action="store_true", help="every document of its corpus that cleaning dropped")
    parser.add_argument("--verbose", action="store_true", help="every field of its config, defaults too")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the run, its episodes, what was dropped of its corpus, or the sweep."""
    from strop.cli import show_corpus, show_episode, show_run, show_stages, show_sweep
    from strop.reports.page import episodes_of, page_of
    from strop.runs import sweep
    from strop.runs.directory import find_run, find_staged, find_sweep

    if args.dropped:
        show_corpus.dropped(args.run_name, as_json=args.json)
        return DONE
    if args.episodes is None and (found := find_sweep(args.run_name)):
        show_sweep.page(sweep.read(found), found, {}, as_json=args.json)
        return DONE
    if args.episodes is None and (staged := find_staged(args.run_name)):
        show_stages.page(staged, as_json=args.json, verbose=args.verbose)
        return DONE
    directory = find_run(args.run_name)
    if args.episodes is None:
        show_run.page(page_of(directory), as_json=args.json, verbose=args.verbose)
        return DONE
    episodes = episodes_of(directory, args.episodes)
    if args.json:
        print_json(episodes.episodes)
    else:
        show_episode.episodes(episodes)
    return DONE
