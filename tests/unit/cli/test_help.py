import re
import subprocess
import sys

import pytest

from strop.cli.main import COMMANDS

LIGHT = (["--help"], ["list"], ["list", "models", "--json"], ["models"], ["show", "runs/r"], ["train"], ["trian"])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(strop, command):
    said = strop(command, "--help")
    assert said.code == 0
    assert re.search(rf"examples?:\n  strop {command}", said.out)
    assert "--traceback" in said.out


def test_help_lists_every_command_and_no_other(strop):
    listed = re.findall(r"^    (\w+) ", strop("--help").out, flags=re.MULTILINE)
    assert tuple(listed) == COMMANDS


def test_version_is_the_installed_one(strop):
    from importlib.metadata import version

    assert strop("--version").out == f"strop {version('strop')}\n"


def test_light_commands_load_neither_torch_nor_transformers(strop, table_recipe, tmp_path):
    assert strop("train", table_recipe(replace=[("Table.Config", "Scratch")]), "steps=1", "--run", "runs/r").code == 0
    program = (
        "import sys; from strop.cli.main import main\n"
        f"for words in {LIGHT!r}: main(words)\n"
        "heavy = {'torch', 'transformers', 'peft', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_help_is_quick():
    """It loads none of the packages that take long; `benchmarks/startup.py` times it."""
    program = (
        "import sys; from strop.cli.main import main\n"
        "main(['--help'])\n"
        "heavy = {'numpy', 'rich', 'torch', 'transformers', 'matplotlib', 'gymnasium'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
