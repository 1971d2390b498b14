"""write a trained run as a Hugging Face folder with a model card

Adapters are merged into the base. AutoModelForCausalLM.from_pretrained(DIR) loads it, and so does strop chat DIR. What
was written is read back and compared with the policy before it appears.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE

EXAMPLES = """\
examples:
  strop export runs/first my-model
  strop export runs/first@best my-model
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("run_name", metavar="RUN", help="a run, RUN@40 or RUN@best")
    parser.add_argument("folder", metavar="DIR", help="the folder to write; it must not exist, or be empty")


def run(args: argparse.Namespace) -> int:
    """Write it."""
    from strop.cli import exporting
    from strop.runs.directory import parse_run

    exporting.export_run(*parse_run(args.run_name), args.folder)
    return DONE
