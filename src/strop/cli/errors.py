"""How errors are printed: `error: ...`, a blank line, `hint: ...`, and a traceback only where it is asked for."""

from __future__ import annotations

import re
import signal
import sys

from strop.cli.output import say

DONE, FAILED, USAGE = 0, 1, 2

_INSTALL = re.compile(r"^(?P<what>.*?)[:.]?\s*(?P<line>pip install \S.*|\S+ -m ensurepip)$", re.DOTALL)


class Problem(Exception):
    """An error that the user can fix. `hint` is what to do, in one line."""

    code = FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Usage(Problem):
    """The command line is wrong."""

    code = USAGE


class Interrupted(Problem):
    """The command was stopped by Ctrl-C or SIGTERM."""

    def __init__(self, message: str, hint: str, stopped_by: signal.Signals) -> None:
        super().__init__(message, hint)
        self.code = exit_code(stopped_by)


def exit_code(stopped_by: signal.Signals | None) -> int:
    """The exit code by shell convention: 130 for Ctrl-C, 143 for SIGTERM."""
    return DONE if stopped_by is None else 128 + stopped_by


def signal_of(error: KeyboardInterrupt) -> signal.Signals:
    """The signal that a KeyboardInterrupt stands for."""
    from strop.runs.interrupt import Terminated

    return signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT


def report(error: BaseException, with_traceback: bool = False) -> int:
    """Print an error on stderr; returns the exit code."""
    import sqlite3
    import traceback

    from safetensors import SafetensorError

    from strop.cli.blame import passed_through, raised_in
    from strop.types import NonFinite, Stopped

    expected = (
        Problem,
        ValueError,
        OSError,
        ImportError,
        MemoryError,
        Stopped,
        NonFinite,
        sqlite3.Error,
        SafetensorError,
    )
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
        error = MemoryError()  # torch's own message is about its allocator
    if isinstance(error, KeyboardInterrupt):
        say("\ninterrupted")
        return exit_code(signal_of(error))
    is_expected = isinstance(error, expected)
    says_what_to_do = isinstance(error, Problem | ImportError)
    user_line = "" if says_what_to_do else raised_in(error) if is_expected else passed_through(error)
    if with_traceback or not (is_expected or user_line):
        say("".join(traceback.format_exception(error)).rstrip())
    if user_line:
        say(f"error: {user_line}: {type(error).__name__}: {error}\n\nhint: --traceback shows how it was called")
        return FAILED
    if not is_expected:
        say(f"error: {type(error).__name__}: {error}\n")
        say("hint: this is a bug in strop: please report it with the lines above and the command that you typed")
        return FAILED
    message, hint = explain(error)
    say(message if isinstance(error, Interrupted) else f"error: {message}")
    if hint:
        say(f"\nhint: {hint}")
    return error.code if isinstance(error, Problem) else FAILED


def explain(error: BaseException) -> tuple[str, str]:
    """The message of an error, and a hint what to do."""
    if isinstance(error, Problem):
        return str(error), error.hint
    if isinstance(error, ImportError) and (found := _INSTALL.match(str(error))):
        return found["what"], found["line"]
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror, ""
    if isinstance(error, MemoryError):
        return (
            "out of memory.",
            "a smaller policy, fewer samples (group_size=..., prompts_per_step=...) or a smaller micro_tokens=...",
        )
    if isinstance(error, ImportError):
        return str(error), f"{sys.executable} -m pip install the package that is missing"
    return str(error) or type(error).__name__, ""
