"""How a record is displayed: one short line at the Python prompt, a small table in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

LINE_CHARS, CELL_CHARS = 120, 600


def line(head: str, text: str = "") -> str:
    """`<head>` or `<head: 'the beginning of the text'>`, in one line of at most LINE_CHARS."""
    head = "".join(letter if letter.isprintable() else "?" for letter in " ".join(head.split()))
    if text:
        head += ": " + beginning(text, max(16, LINE_CHARS - len(head) - 7))
    return f"<{head}>" if len(head) <= LINE_CHARS - 2 else f"<{head[: LINE_CHARS - 5]}...>"


def beginning(text: str, chars: int) -> str:
    """The first `chars` characters of a text, quoted, with white space as single spaces."""
    plain = " ".join(text[: 4 * chars].split())
    return repr(plain) if len(plain) <= chars and len(text) <= 4 * chars else f"{plain[:chars]!r}..."


def table(rows: Sequence[tuple[str, str]]) -> str:
    """HTML of names and texts: escaped, long texts cut, without colours so that light and dark pages both work."""
    cell = "text-align:left;vertical-align:top;white-space:pre-wrap"
    lines = (
        f'<tr><th style="{cell}">{_html(name)}</th><td style="{cell}">{_html(text)}</td></tr>' for name, text in rows
    )
    return f"<table>{''.join(lines)}</table>"


def _html(text: str) -> str:
    if len(text) > CELL_CHARS:
        text = f"{text[:CELL_CHARS]} ... ({len(text):,} characters)"
    return escape(text.encode("utf-8", "replace").decode())  # half a surrogate pair would break the notebook's file
