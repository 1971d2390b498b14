"""A package's sampler (the guide's), found by its entry point: named, recorded, resumed, missed when it is gone."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from strop import load
from strop.runs.spec import from_files

GUIDE = Path(__file__).parents[3] / "docs" / "your-own-algorithm.md"
(PLAIN,) = re.findall(
    r"^```python\n(import math\n.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
OTHER = """

class Helper:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(SamplerConfig):
        def build(self, policy, codec):
            raise AssertionError("no entry point names it")
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install the guide's sampler as `theirs.samplers`; the folder that an uninstall removes."""
    folder = tmp_path / "site"
    (folder / "theirs").mkdir(parents=True)
    (folder / "theirs" / "__init__.py").touch()
    (folder / "theirs" / "samplers.py").write_text(PLAIN + OTHER)
    facts = folder / "theirs-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[strop.samplers]\nfast = theirs.samplers:Plain\n")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    yield facts
    for name in [name for name in sys.modules if name.partition(".")[0] == "theirs"]:
        del sys.modules[name]


@pytest.mark.matrix
@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["fast", "plain", "Plain"])
def test_it_is_chosen_by_the_name_of_its_entry_point_or_of_its_class(strop, table_recipe, name):
    said = strop("train", table_recipe(), f"sampler={name}", "sampler.gap=0.02", "--run", "r")
    assert said.code == 0, said.err
    sampler = json.loads(Path("r/config.json").read_text())["sampler"]
    assert sampler == {"class": "strop.samplers.Plain.Config", "gap": 0.02}
    assert from_files(Path("r")).algorithm.correction is not None  # it says nothing of sharing weights
    assert "drawn by Plain, and corrected" in " ".join(strop("show", "r").out.split())


@pytest.mark.matrix
@pytest.mark.usefixtures("package")
def test_a_run_resumes_with_it_as_if_it_had_never_stopped(strop, table_recipe):
    recipe = table_recipe()
    strop("train", recipe, "sampler=fast", "steps=4", "--run", "whole")
    strop("train", recipe, "sampler=fast", "steps=2", "--run", "halves")
    said = strop("train", "--resume", "--run", "halves", "steps=4")
    assert said.code == 0, said.err
    whole, halves = (load(run).policy.state_dict() for run in ("whole", "halves"))
    assert whole["contexts"] == halves["contexts"]
    assert whole["weight"].equal(halves["weight"])
    assert whole["weight"].any()


@pytest.mark.usefixtures("package")
def test_what_may_be_typed_includes_it_and_nothing_else_of_its_module(strop, table_recipe):
    assert "One of local, fast" in strop("train", table_recipe(), "--fields").out
    said = strop("train", table_recipe(), "sampler=helper")
    assert "sampler=helper: there is no such sampler; allowed are LocalSampler, Plain." in said.err


def test_without_its_package_a_run_is_shown_and_says_what_it_lacks(strop, table_recipe, package):
    recipe = table_recipe()
    strop("train", recipe, "sampler=fast", "--run", "r")
    for file in package.iterdir():
        file.unlink()
    package.rmdir()
    importlib.invalidate_caches()
    assert "drawn by Plain" in strop("show", "r").out
    assert "there is no such sampler" in strop("train", recipe, "sampler=fast").err
    said = strop("train", "--resume", "--run", "r", "steps=4")
    assert said.code == 1
    assert "sampler: strop.samplers has no 'Plain'; it has LocalSampler, " in said.err
    assert "install the package that gave it" in said.err
