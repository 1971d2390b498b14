"""The answers of two versions, side by side."""

import pytest

from learnt import ASKED, learnt
from strop.assistant import Versions
from strop.assistant.beside import side_by_side


def test_any_two_versions_changed_answers_first(tmp_path):
    versions = Versions(learnt(tmp_path / "mine"))
    found = side_by_side(versions, 1, 3)
    assert [(one.asked, one.old, one.new, one.is_changed) for one in found] == [
        (ASKED[1], "不知道。", "因为空气散射光线。", True),
        (ASKED[0], "Because of the air.", "Because of the air.", False),
        (ASKED[2], "Red.", "Red.", False),
    ]
    assert [one.is_changed for one in side_by_side(versions, 0, 2)] == [True, True, False]
    assert not any(one.is_changed for one in side_by_side(versions, 0, 0))


def test_what_is_not_there_is_told(tmp_path):
    versions = Versions(learnt(tmp_path / "mine"))
    with pytest.raises(ValueError, match="has no version 9; there: 0, 1, 2, 3"):
        side_by_side(versions, 1, 9)
    (versions.folder(2) / "diff.jsonl").unlink()
    with pytest.raises(ValueError, match="version 2 has no answers to the fixed questions"):
        side_by_side(versions, 2, 1)
