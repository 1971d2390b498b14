"""The small bugs of `make mutants`, on a function small enough to list them by hand."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from plant import plant

SOURCE = '''
"""Text - not planted."""

def f(a, b=1 - 1, *, m):
    """Text 1 - 2."""
    if a < b:
        raise ValueError(f"{a - b}")
    x_BT = torch.where(m, a[:b], 0)
    return min(x_BT, -a, key=m)


class C:
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
