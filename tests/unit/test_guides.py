"""The code of a guide runs as it is printed, from top to bottom, in both languages."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code(guide: str) -> str:
    return "\n".join(BLOCK.findall((DOCS / guide).read_text(encoding="utf-8")))


def test_both_languages_print_the_same_code():
    def bare(guide: str) -> list[str]:
        return [line.partition("  #")[0].rstrip() for line in code(guide).splitlines()]

    assert bare("two-words.md") == bare("two-words.zh-CN.md")


@pytest.mark.matrix
@pytest.mark.parametrize("guide", ["two-words.md", "two-words.zh-CN.md"])
def test_its_code_runs(guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = code(guide)
    assert text.count("assert") == 11
    exec(compile(text, guide, "exec"), {"__name__": "guide"})
