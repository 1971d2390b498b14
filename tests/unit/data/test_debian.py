"""Debian's packages: what is read out of apt's index, and what is said where that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from strop.data.debian import Described, described

PACKAGES = """Package: foo
Version: 1.0
Architecture: amd64

Package: libfoo-dev
Source: foo (1.0-2)
Architecture: amd64
"""
TEXTS = """Package: foo
Description-md5: 1
Description-en: reader of foo files
 Foo is a reader
 of files.
 .
 It reads:
  * one
  * two
 And more.

Package: libfoo-dev
Description-md5: 2
Description-en: reader of foo files - headers
 The headers.

Package: foo-for-another-machine
Description-md5: 3
Description-en: reader of foo files
 Foo is a reader.
"""


def apt(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program that stands in for apt-get."""
    (folder / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_package_has_its_source_and_a_line_for_each_paragraph(tmp_path, monkeypatch):
    (tmp_path / "packages").write_text(PACKAGES)
    (tmp_path / "texts").write_text(TEXTS)
    find = 'for word in "$@"; do case $word in Dir::State::lists=*) lists=${word#*=};; esac; done'
    copy = f"cp {tmp_path}/packages $lists/a_binary-amd64_Packages; cp {tmp_path}/texts $lists/a_i18n_Translation-en"
    apt(tmp_path, monkeypatch, f'{find}; {copy}; echo "W: unsandboxed" >&2')
    said: list[str] = []
    assert described(said.append) == [
        Described("foo", "foo", "reader of foo files", "Foo is a reader of files.\nIt reads:\n* one\n* two\nAnd more."),
        Described("libfoo-dev", "foo", "reader of foo files - headers", "The headers."),
    ]
    assert said[0].endswith("downloading 16 MB (once)")
    assert "free software" in said[0]


@pytest.mark.parametrize(
    ("script", "reason"),
    [('echo "W: x" >&2; echo "E: no such host" >&2; exit 100', "no such host"), ("exit 0", "apt gave no reason")],
)
def test_what_apt_says_is_passed_on_in_one_line(script, reason, tmp_path, monkeypatch):
    apt(tmp_path, monkeypatch, script)
    with pytest.raises(ValueError, match=rf"could not fetch its index \({reason}\)\. Is there a network\?") as raised:
        described(lambda line: None)
    assert "\n" not in str(raised.value)
