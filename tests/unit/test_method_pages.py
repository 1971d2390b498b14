"""The pages of the methods: each is there, says what its file says, and its example can be typed."""

import json
import re
import shlex
from pathlib import Path

import pytest

from exact.learners import CORE
from strop import loader
from strop.cli.main import main

FOLDER = Path(__file__).parents[2] / "docs" / "methods"
METHODS = loader.modules("algorithms")
EXAMPLE = re.compile(r"^    (strop train .*)$", re.MULTILINE)
PAGES = [
    method.name if method.configured[0] in CORE else pytest.param(method.name, marks=pytest.mark.matrix)
    for method in METHODS
]


def test_every_algorithm_has_a_page_and_every_page_an_algorithm():
    assert {page.stem for page in FOLDER.glob("*.md")} - {"README"} == {method.name for method in METHODS}


@pytest.mark.parametrize("name", PAGES)
def test_its_example_can_be_typed(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pairs = [{"prompt": word, "chosen": word, "rejected": "chair"} for word in ("apple", "bread")]
    Path("pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    commands = EXAMPLE.findall((FOLDER / f"{name}.md").read_text())
    assert commands or name == "distillation"  # a teacher is a folder that only its owner has
    for command in commands:
        words = shlex.split(command.partition("#")[0])[1:]
        assert main([*words, "--dry-run"]) == 0, capsys.readouterr().err
