"""The room as a whole: whoever reads facts about a run, or draws it, waits for no torch."""

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import strop.reports

names = [module.name for module in pkgutil.iter_modules(strop.reports.__path__)]
assert "page" in names
for name in names:
    importlib.import_module(f"strop.reports.{name}")
    heavy = {"torch", "transformers", "rich"} & set(sys.modules)
    assert not heavy, f"strop.reports.{name} loads {heavy}"
"""


def test_no_report_loads_torch_or_a_terminal():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
