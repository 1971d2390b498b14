"""write a commented recipe to start from: your own reward and prompts

The file runs as it is: strop train FILE.py
"""

from __future__ import annotations

import argparse
import shlex
from importlib.resources import files
from pathlib import Path

from strop.cli.errors import DONE, Problem, Usage
from strop.cli.output import commands, say

EXAMPLES = """\
examples:
  strop new my.py
  strop score my.py "Hello there."
  strop train my.py
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("file", metavar="FILE.py", help="where to write it; an existing file is never overwritten")


def run(args: argparse.Namespace) -> int:
    """Write the file, and print what to do with it."""
    path = Path(args.file)
    if path.suffix != ".py":
        raise Usage(f"{path} does not end in .py.", hint=f"strop new {path}.py")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(
                files("strop.cli").joinpath("template.py.txt").read_text(encoding="utf-8").replace("FILE", str(path))
            )
    except FileExistsError:
        raise Problem(f"{path} exists and is left as it is.", hint="choose another name, or move it away") from None
    print(path)
    say("\nnext:")
    name = shlex.quote(str(path))
    commands([(f'strop score {name} "some text"', "try the reward"), (f"strop train {name}", "train")], stderr=True)
    return DONE
