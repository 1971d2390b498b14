"""The small bugs of `make mutants`, on a function small enough to list them by hand."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import pytest
from plant import plant
from reach import Reach
from sites import EQUIVALENT, Site
from sites import SOURCE as SOURCE_FOLDER
from tally import Tally, wilson

SOURCE = '''
"""Text - not planted."""

def f(a, b=1 - 1, *, m):
    """Text 1 - 2."""
    if a < b:
        raise ValueError(f"{a - b}")
    x_BT = torch.where(m, a[:b], 0)
    return min(x_BT, -a, key=m)


class C:
    cap: float = 2.0

    class Config:
        clip: float = 1 - 0.8

        def __post_init__(self):
            assert self.clip < 1
'''


def test_every_kind_of_bug_is_planted_once_and_only_in_functions() -> None:
    got = sorted((one.kind, one.where, one.now) for one in plant(SOURCE))
    assert got == sorted([
        ("condition", "f", "if not a < b:"),
        ("compare", "f", "if a <= b:"),
        ("sign", "f", "x_BT = -torch.where(m, a[:b], 0)"),
        ("mask", "f", "x_BT = a[:b]"),
        ("index", "f", "x_BT = torch.where(m, a[:b + 1], 0)"),
        ("index", "f", "x_BT = torch.where(m, a[:b], 1)"),
        ("sign", "f", "return -min(x_BT, -a, key=m)"),
        ("order", "f", "return max(x_BT, -a, key=m)"),
        ("sign", "f", "return min(x_BT, a, key=m)"),
        ("argument", "f", "return min(x_BT, -a)"),
    ])  # fmt: skip


def test_a_mutant_is_the_whole_file_with_one_statement_changed() -> None:
    for one in plant(SOURCE):
        assert one.now != one.was
        assert one.source.count("class Config") == 1
        compile(one.source, "planted", "exec")


def test_a_mutant_knows_the_lines_of_its_statement_and_not_those_inside_it() -> None:
    source = "def f(a):\n    if (\n        a < 1\n    ):\n        b = a + 1\n    return (\n        -a\n    )\n"
    lines = {(one.was, one.line, one.last) for one in plant(source)}
    assert lines == {("if a < 1:", 2, 4), ("b = a + 1", 5, 5), ("return -a", 6, 8)}


def test_reach_notes_the_lines_that_run_in_the_files_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "asked.py"
    file.write_text("def f(a):\n    if a:\n        return 1\n    return [\n        b\n        for b in ()\n    ]\n")
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    with Reach([str(file)]) as reach:
        names["f"](True)
        (lambda: None)()
    assert reach.lines == {(str(file), 2), (str(file), 3)}
    names["f"](False)  # nobody listens any more
    assert len(reach.lines) == 2


def test_the_interval_of_a_share_is_wilsons() -> None:
    # 9 of 10: the p with |p - .9| = 1.96 sqrt(p (1 - p) / 10), the roots of (1 + .38416) p^2 - (1.8 + .38416) p + .81
    root = (2.18416**2 - 4 * 1.38416 * 0.81) ** 0.5
    assert wilson(9, 10) == pytest.approx(((2.18416 - root) / 2.76832, (2.18416 + root) / 2.76832), abs=1e-12)


def test_a_tally_tells_verify_from_tests() -> None:
    tally, site = Tally(), Site("strop.m", plant(SOURCE)[0])
    for by in ("verify", "verify", "tests", None):
        tally.add(site, by, timed_out=False)  # type: ignore[arg-type]
    assert (tally.verify, tally.tests, tally.survivors, tally.count) == (2, 1, [site], 4)
    assert "verify       2   50.0%" in tally.report(4, None)


def test_what_is_known_to_change_nothing_still_stands_where_it_is_said_to():
    """An entry whose line has moved hides nothing: rename it with the code, or take it out."""
    for entry in tomllib.loads(EQUIVALENT.read_text())["mutant"]:
        file = SOURCE_FOLDER / (entry["module"].replace(".", "/") + ".py")
        assert file.is_file(), entry
        node: Any = ast.parse(file.read_text())
        for name in entry["where"].split("."):
            inner = [one for one in node.body if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name == name]
            assert inner, entry
            node = inner[0]
        assert any(entry["was"] in ast.unparse(one) for one in ast.walk(node) if isinstance(one, ast.stmt)), entry
