"""The code of a guide runs as it is printed, from top to bottom, in both languages."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code(guide: str) -> str:
    return "\n".join(BLOCK.findall((DOCS / guide).read_text(encoding="utf-8")))


@pytest.mark.parametrize("guide", ["two-words", "your-own-algorithm"])
def test_both_languages_print_the_same_code(guide):
    def bare(file: str) -> list[str]:
        lines = [re.sub(r'\s*""".*?"""', "", line).partition("  #")[0].rstrip() for line in code(file).splitlines()]
        return [line for line in lines if line]

    assert bare(f"{guide}.md") == bare(f"{guide}.zh-CN.md")


@pytest.mark.matrix
@pytest.mark.parametrize("language", ["", ".zh-CN"])
@pytest.mark.parametrize(("guide", "asserts"), [("two-words", 11), ("your-own-algorithm", 2)])
def test_its_code_runs(guide, asserts, language, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = code(f"{guide}{language}.md")
    assert text.count("assert") == asserts
    exec(compile(text, guide, "exec"), {"__name__": "guide"})
