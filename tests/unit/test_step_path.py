"""One GRPO step can be read: how many lines of code lie between the loop and the weights."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import step_path

ROOT = Path(__file__).parents[2]


def test_a_step_of_grpo_is_read_in_240_lines():
    total = sum(step_path.counted().values())
    assert total <= 240
    assert f"**{total} lines**" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_docstrings_comments_and_empty_lines_are_not_counted(tmp_path):
    file = tmp_path / "one.py"
    file.write_text('''class One:
    def two(
        self,
    ) -> int:
        """Three.

        Four.
        """
        # five

        def six():
            """Seven."""
            return 8

        return six()
''')
    assert step_path.lines(file, "One.two") == 6
