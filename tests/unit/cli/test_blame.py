"""An error is told as whose it is: a person's own code with its file and line, and strop's as a bug of strop."""

import importlib
import json
import sys

import pytest

from strop.cli.blame import passed_through, raised_in

ALGORITHM = """
class Mine(strop.algorithms.REINFORCE.Config):
    def build(self, policy, sampling, micro_tokens, seed=0):
        BODY


def recipe("""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('raise KeyError("mine")', "in build: KeyError: 'mine'"),
        ('raise ValueError("mine")', "in build: ValueError: mine"),
        ('raise SystemExit("mine")', "in build: SystemExit: mine"),
        ("import sys; sys.exit()", "in build: SystemExit"),
        ("strop.algorithms.GPRO", "in build: AttributeError: strop.algorithms has no 'GPRO'; did you mean GSPO?"),
        ("import json; json.dumps({1, 2})", "in build: TypeError: Object of type set"),
        ("from strop.streams import stream; stream(0, 5)", "in build: AttributeError"),
        ('raise type("Mine", (BaseException,), {})("mine")', "in build: Mine: mine"),
    ],
)
def test_an_error_in_a_users_algorithm_names_their_line(strop, table_recipe, body, told):
    algorithm = ("strop.algorithms.REINFORCE.Config(optimizer=strop.optimizer.AdamW(lr=0.1))", "Mine()")
    recipe = table_recipe(replace=[algorithm, ("\n\ndef recipe(", ALGORITHM.replace("BODY", body))])
    said = strop("train", recipe, "--run", "r")
    assert said.code == 1
    line = next(n for n, text in enumerate(recipe.read_text().splitlines(), 1) if body in text)
    assert f"error: mine.py, line {line}, {told}" in said.err
    assert "bug in strop" not in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in strop("train", recipe, "--run", "r", "--traceback").err


def test_a_recipe_that_exits_names_its_line(strop, table_recipe):
    said = strop("train", table_recipe(replace=[("return strop", "raise SystemExit('no key')\n    return strop")]))
    assert (said.code, said.out) == (1, "")
    assert "mine.py, line 11: SystemExit: no key" in said.err


def test_an_error_in_a_package_names_the_line_that_called_it():
    with pytest.raises(TypeError) as caught:
        json.dumps({1, 2})
    here = f"{__file__}, line "
    assert passed_through(caught.value).startswith(here)
    assert raised_in(caught.value).startswith(here)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def recipe():\n    return {}['key']\n", "line 2, in recipe: KeyError: 'key'"),
        ("def recipe():\n    return 1 +\n", "line 2: SyntaxError"),
        ("import sys\nsys.exit('go away')\ndef recipe(): ...\n", "line 2: SystemExit: go away"),
    ],
)
def test_an_error_in_a_plug_in_names_its_line(strop, tmp_path, monkeypatch, text, told):
    place = tmp_path / "lib" / "site-packages"
    place.mkdir(parents=True)
    (place / "plugged.py").write_text(text)
    facts = place / "plugged-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[strop.recipes]\nplugged = plugged\n")
    monkeypatch.syspath_prepend(str(place))
    importlib.invalidate_caches()
    said = strop("train", "plugged", "--run", "r")
    sys.modules.pop("plugged", None)
    assert said.code == 1
    assert f"error: {place / 'plugged.py'}, {told}" in said.err
    assert "bug in strop" not in said.err


def test_an_entry_point_that_names_nothing_is_named(strop, tmp_path, monkeypatch):
    facts = tmp_path / "gone-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: gone\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[strop.recipes]\ngone = gone.recipes\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    said = strop("train", "gone")
    assert said.code == 1
    assert "the entry point gone of strop.recipes names gone.recipes, which is not there" in said.err
