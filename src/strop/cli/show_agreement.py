"""How far a reward agrees with a known ranking, and what a judge makes of an answer's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.cli.output import console, print_json, print_rich, table

if TYPE_CHECKING:
    from strop.reports.agreement import Agreements


def agreements(found: Agreements, as_json: bool) -> None:
    """A row for the weighted sum and each part; and one for each part that compares."""
    if as_json:
        print_json(found)
        return
    out = console()
    rows = [
        (one.name, str(one.share), str(one.right), str(one.tied), str(one.wrong), str(one.unscored or ""))
        for one in found.rewards
    ]
    print_rich(table(["part", "agreement", "right", "tied", "wrong", "unscored"], rows, right=(2, 3, 4, 5)))
    if found.places:
        out.print("\nBoth orders of each pair; bias is the share of the first less that of the second.\n")
        biases = [
            (
                one.name,
                f"{one.bias:+}",
                *map(str, (one.same, one.first, one.second, one.other)),
                str(one.unscored or ""),
            )
            for one in found.places
        ]
        columns = ["part", "bias", "agree", "both first", "both second", "one a tie", "unscored"]
        print_rich(table(columns, biases, right=(2, 3, 4, 5, 6)))
    for reason in dict.fromkeys(one.reason for one in found.rewards if one.reason):
        out.print(f"\nwithout a score: {reason}")
    out.print(f"\n{found.verdict}", style="bold")
