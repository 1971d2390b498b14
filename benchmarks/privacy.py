"""How much personal data does strop.privacy find, and how much that is none? The tables of docs/privacy.md.

    python benchmarks/privacy.py                # a minute; results/privacy.json, and the tables of docs/privacy.md
    python benchmarks/privacy.py --written-on   # every error on what the rules were written on; writes nothing
    python benchmarks/privacy.py --page         # only write the pages from what was measured

Texts are generated from sentences (privacy_texts.py) and values (privacy_values.py). Recall of a kind: of its values,
how many are masked to the last character, as whatever kind. Precision: of what was masked as this kind, how much lies,
for the most part, in a value of this kind. Limits are Blaker's.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marks import put
from privacy_texts import HELD_OUT, WRITTEN_ON, Texts
from privacy_values import Values

from strop.intervals import proportion
from strop.privacy import KINDS, Found, Masker

RESULTS, DOCS = Path(__file__).parent / "results", Path(__file__).parents[1] / "docs"
EACH = 400
"""Texts of each sentence."""
GAP = re.compile(r"\{([a-zA-Z ]+)\}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, and where its personal data stands."""

    text: str
    true: tuple[Found, ...]


def generated(texts: Texts, language: str, each: int, seed: int) -> Iterator[Labelled]:
    """`each` texts of every sentence of a language."""
    values = Values(language, seed)
    for sentence in texts[language]:
        for _ in range(each):
            text, true = "", list[Found]()
            for i, part in enumerate(GAP.split(sentence)):
                value = values.draw[part]() if i % 2 else part
                if part in KINDS and i % 2:
                    true.append(Found(part, len(text), len(text) + len(value)))  # type: ignore[arg-type]
                text += value
            yield Labelled(text, tuple(true))


def count(examples: Sequence[Labelled], show: bool = False) -> dict[str, dict[str, int]]:
    """For every kind: values that there are, that were masked; spans that were masked, and that should have been."""
    totals = {kind: Counter(values=0, masked=0, spans=0, right=0) for kind in KINDS}
    for example in examples:
        found = Masker().masked(example.text).found
        hidden = {i for one in found for i in range(one.start, one.end)}
        for one in example.true:
            is_masked = all(i in hidden for i in range(one.start, one.end))
            totals[one.kind].update(values=1, masked=is_masked)
            if show and not is_masked:
                print(f"MISSED {one.kind} {example.text[one.start : one.end]!r} in {example.text!r}: {found}")
        for one in found:
            is_right = any(_is_mostly_in(one, other) for other in example.true)
            totals[one.kind].update(spans=1, right=is_right)
            if show and not is_right:
                print(f"WRONG {one.kind} {example.text[one.start : one.end]!r} in {example.text!r}")
    return {kind: dict(total) for kind, total in totals.items()}


def _is_mostly_in(found: Found, true: Found) -> bool:
    shared = min(found.end, true.end) - max(found.start, true.start)
    return found.kind == true.kind and 2 * shared > found.end - found.start


def measured(texts: Texts, each: int, seed: int, show: bool = False) -> dict[str, Any]:
    """The counts of both languages."""
    return {
        language: count(list(generated(texts, language, each, seed)), show) | {"texts": len(texts[language]) * each}
        for language in ("en", "zh")
    }


WORDS = {
    "": (
        "| kind | language | precision | recall | values |",
        {"en": "English", "zh": "Chinese"},
        {kind: kind for kind in KINDS},
    ),
    ".zh-CN": (
        "| 种类 | 语言 | 精确率 | 召回率 | 个数 |",
        {"en": "英文", "zh": "中文"},
        {
            "name": "姓名", "phone": "电话", "email": "电子邮箱", "address": "地址", "card": "银行卡", "iban": "IBAN",
            "id": "身份证号", "passport": "护照号", "account": "账号",
        },
    ),
}  # fmt: skip


def page_of(record: Mapping[str, Any], language: str) -> str:
    """The table of a page."""
    head, languages, kinds = WORDS[language]
    lines = [head, "|---|---|---|---|---:|"]
    for kind in KINDS:
        for spoken, name in languages.items():
            one = record[spoken][kind]
            if one["values"]:
                shares = [_share(one["right"], one["spans"]), _share(one["masked"], one["values"])]
                lines.append(f"| {kinds[kind]} | {name} | {' | '.join(shares)} | {one['values']:,} |")
    return "\n".join(lines)


def _share(hits: int, n: int) -> str:
    low, high = proportion(hits, n)
    return f"{hits / n:.3f} [{low:.3f}, {high:.3f}]"


def write_pages(record: Mapping[str, Any]) -> None:
    """Put the table between the marks of the pages."""
    for language in WORDS:
        put(DOCS / f"privacy{language}.md", "found", page_of(record, language))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the pages")
    parser.add_argument("--written-on", action="store_true", help="show errors on what the rules were written on")
    parser.add_argument("--each", type=int, default=EACH, help="texts of each sentence")
    args = parser.parse_args()
    file = RESULTS / "privacy.json"
    if args.written_on:
        print(page_of(measured(WRITTEN_ON, args.each, seed=0, show=True), ""))
        return
    if not args.page:
        record = measured(HELD_OUT, args.each, seed=1)
        file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(page_of(record, ""))
    write_pages(json.loads(file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
