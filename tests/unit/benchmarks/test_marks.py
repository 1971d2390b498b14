"""A table of a page is replaced, and nothing else."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from marks import put


def test_what_stands_between_the_marks_is_replaced_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one -->\nold\n<!-- /one -->\nb\n<!-- two -->\nstays\n<!-- /two -->\n", encoding="utf-8")
    put(page, "one", "| 新 |")
    put(page, "one", "| 新 |")  # again changes nothing
    said = "a\n<!-- one -->\n| 新 |\n<!-- /one -->\nb\n<!-- two -->\nstays\n<!-- /two -->\n"
    assert page.read_text(encoding="utf-8") == said


@pytest.mark.parametrize("text", ["no marks", "<!-- one -->\nno end", "<!-- /one --> <!-- one -->"])
def test_a_page_without_marks_stays_as_it_is(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="has no <!-- one --> with <!-- /one --> after it"):
        put(page, "one", "table")
    assert page.read_text(encoding="utf-8") == text
