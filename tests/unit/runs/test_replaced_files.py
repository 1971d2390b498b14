"""A file that is replaced stays as readable as it was, whoever replaces it."""

import os

import pytest

from strop.runs import files


def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o640)
    files.replace_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_who_is_not_root_gives_no_file_away(tmp_path, monkeypatch):
    def forbidden(*given):
        raise PermissionError("only root may")

    (tmp_path / "a").write_text("somebody else's")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "fchown", forbidden)
    files.replace_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    def full(*given):
        raise OSError("no space left")

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        files.replace_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]
