"""The pages of the methods: each is there, says what its file says, and its example runs as it stands."""

import json
import re
import runpy
import shlex
import textwrap
from pathlib import Path

import pytest

from exact.learners import CORE
from strop import loader
from strop.cli.main import main

FOLDER = Path(__file__).parents[2] / "docs" / "methods"
METHODS = loader.modules("algorithms")
PLANNING = [method.name for method in loader.modules("planning") if method.name not in ("mdp", "planner")]
EXAMPLE = re.compile(r"^    (strop (?:train|pretrain) .*)$", re.MULTILINE)
MEASURED = re.compile(r"^## What it must equal\n\n(\| must equal \| gap|- )", re.MULTILINE)
PAGES = [
    method.name if method.configured[0] in CORE else pytest.param(method.name, marks=pytest.mark.matrix)
    for method in METHODS
]


def test_every_method_has_a_page_and_every_page_a_method():
    pages = {page.stem: page.read_text() for page in FOLDER.glob("*.md")}
    index = pages.pop("README")
    assert set(pages) == {method.name for method in METHODS} | set(PLANNING)
    assert all(f"]({name}.md)" in index for name in pages)
    assert [name for name, text in pages.items() if not MEASURED.search(text)] == []


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


@pytest.mark.parametrize("name", PLANNING)
def test_its_example_prints_what_the_page_says(name, capsys):
    script = FOLDER / "examples" / f"{name}.py"
    runpy.run_path(str(script))
    printed = textwrap.indent(capsys.readouterr().out, "    ")
    assert f"```python\n{script.read_text()}```\n\nIt prints\n\n{printed}\n## " in (FOLDER / f"{name}.md").read_text()
