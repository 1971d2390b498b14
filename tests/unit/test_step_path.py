"""One GRPO step can be read: how many lines of code lie between the loop and the weights."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import step_path

ROOT = Path(__file__).parents[2]


def test_a_step_of_grpo_is_read_in_240_lines():
    main, below = (sum(step_path.counted(path).values()) for path in (step_path.MAIN, step_path.BELOW))
    assert main <= 240
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"**{main} lines**" in page
    assert f"{below} more" in page


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
