"""A table of a page: what stands between `<!-- mark -->` and `<!-- /mark -->`."""

from __future__ import annotations

from pathlib import Path


def put(page: Path, mark: str, table: str) -> None:
    """Replace what stands between the marks. Raises ValueError where the page lacks one of them."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ValueError(f"{page} has no {begin} with {end} after it: the table goes between them.")
    page.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")
