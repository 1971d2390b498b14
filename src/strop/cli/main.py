"""`strop VERB`: find the command, run it, and report its errors in one line and an exit code."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from strop.cli.errors import Usage, report
from strop.runs.interrupt import terminable

COMMANDS = (
    "train",
    "pretrain",
    "sweep",
    "score",
    "eval",
    "show",
    "plot",
    "chat",
    "serve",
    "learn",
    "assistant",
    "export",
    "models",
    "list",
    "new",
    "verify",
)
"""In the order in which `strop --help` shows them: each is the module strop.cli.<name>."""

ABOUT = "Reinforcement learning for language models: from a two-word table to a real LLM, with one loop."
GUIDE = """\
a first run, in seconds and without a download:
  strop train two_words
a language model from scratch, in minutes:
  strop pretrain grimm
on a real language model:
  strop train story

exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (Ctrl-C), 143 terminated (SIGTERM)
"""


class Version(argparse.Action):
    """Prints the version, looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        import strop

        print(f"strop {strop.__version__}")
        parser.exit()


class Help(argparse.RawDescriptionHelpFormatter):
    """Help texts keep their lines, and no word is broken at a hyphen, since it may be a path."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = max(map(len, COMMANDS)) + 4  # argparse leaves the indent of commands out

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """argparse, with strop's errors and help that keeps its lines."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=Help, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise Usage(message, hint=f"{self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parse(words)
        with terminable():
            code = int(args.call(args))
        sys.stdout.flush()
        return code
    except SystemExit as done:
        return leave(done, words)
    except BrokenPipeError:  # the reader of our stdout has left, as in `strop list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        return report(error, with_traceback="--traceback" in words)


def leave(done: SystemExit, words: Sequence[str]) -> int:
    """The exit code of a SystemExit: argparse raises it after help or version; from user code it is an error."""
    from strop.cli.blame import passed_through

    if passed_through(done):
        return report(done, with_traceback="--traceback" in words)
    return int(done.code or 0)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments. `field=value` may stand before, between or after the options."""
    parser = _parser()
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        raise Usage(
            f"there is no command {words[0]!r}" + (f"; did you mean {near[0]}?" if near else "."),
            hint=f"the commands are {', '.join(COMMANDS)}",
        )
    args, left = parser.parse_known_args(words)
    if not hasattr(args, "call"):
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    unknown = [word for word in left if word.startswith("-")]
    if unknown or (left and not hasattr(args, "words")):
        raise Usage(f"unknown argument {(unknown or left)[0]!r}.", hint=f"strop {args.command} --help")
    if left:
        args.words += left
    return args


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="strop",
        description=_filled(ABOUT),
        epilog=_lines(GUIDE),
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and end")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    for name in COMMANDS:
        module = importlib.import_module(f"strop.cli.{name}")
        summary = str(module.__doc__).split("\n")[0]
        about = _filled(str(module.__doc__))
        one = commands.add_parser(
            name, help=summary.replace("%", "%%"), description=about, epilog=_lines(module.EXAMPLES)
        )
        module.add(one)
        one.add_argument("--traceback", action="store_true", help="show where an error came from")
        one.set_defaults(call=module.run)
    return parser


def _filled(text: str) -> str:
    """Each paragraph wrapped to the terminal."""
    paragraphs = (" ".join(part.split()) for part in text.strip().split("\n\n"))
    return "\n\n".join(_wrapped(part, _width()) for part in paragraphs)


def _lines(text: str) -> str:
    """Each line wrapped on its own. A command that is too long continues after a backslash, as in a shell."""
    wrapped = []
    for line in text.split("\n"):
        if line.startswith("  ") and len(line) > _width():
            wrapped.append(_wrapped(line, _width() - 2, "    ").replace("\n", " \\\n"))
        else:
            wrapped.append(_wrapped(line, _width()))
    return "\n".join(wrapped)


def _wrapped(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 100) - 2
