"""Pairs and tables that never break a word: on a narrow terminal, columns become paragraphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of a name and a text."""

    rows: Sequence[tuple[str, str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Two columns, or the text below its name."""
        names = max((cell_len(name) for name, _ in self.rows), default=0)
        words = _longest_word((text for _, text in self.rows), most=options.max_width)
        if names + GAP + words > options.max_width:
            for name, text in self.rows:
                yield from _paragraph(name, text, options.max_width)
            return
        grid = Table.grid(padding=(0, GAP))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in self.rows:
            grid.add_row(Text(name), Text(text))
        yield grid


@dataclass(frozen=True, slots=True)
class Columns:
    """A table; the columns numbered in `right` hold numbers."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A table, or one paragraph for each row."""
        widths = self._widths(options.max_width)
        if not widths:
            for first, *others in self.rows:
                cells = zip(self.names[1:], others, strict=True)
                text = " · ".join(f"{name} {cell}".strip() for name, cell in cells if cell)
                yield from _paragraph(first, text, options.max_width)
            return
        made = Table(box=None, padding=(0, GAP, 0, 0), header_style="bold")
        for i, (name, width) in enumerate(zip(self.names, widths, strict=True)):
            side = "right" if i in self.right else "left"
            made.add_column(Text(name), justify=side, width=width, no_wrap=i in self.right, overflow="fold")  # type: ignore[arg-type]
        for row in self.rows:
            made.add_row(*(Text(cell) for cell in row))
        yield made

    def _widths(self, available: int) -> list[int]:
        """Column widths: the widest shrinks first, but never below its longest word. Empty if they do not fit."""
        columns = [[name, *(row[i] for row in self.rows)] for i, name in enumerate(self.names)]
        widths = [max(cell_len(line) for cell in cells for line in cell.split("\n")) for cells in columns]
        least = [widths[i] if i in self.right else _longest_word(cells, available) for i, cells in enumerate(columns)]
        available -= GAP * len(columns)
        if sum(least) > available:
            return []
        while sum(widths) > available:
            widths[max((i for i in range(len(widths)) if widths[i] > least[i]), key=widths.__getitem__)] -= 1
        return widths


def _paragraph(name: str, text: str, width: int) -> RenderResult:
    indent = min(GAP, width - _longest_word([text], most=width))
    yield Text(name, style="bold", overflow="fold")
    yield Padding(Text(text, overflow="fold"), (0, 0, 0, indent))


def _longest_word(texts: Iterable[str], most: int) -> int:
    """The width of the longest word of at most `most` characters; longer ones fit nowhere."""
    return max((width for text in texts for word in text.split() if (width := cell_len(word)) <= most), default=0)
