"""Write the runs in tests/fixtures/runs, which every later version of strop must load: python tools/fixture_runs.py

They are made from the recipes beside them, and may be made again until a version of strop is out that wrote them. From
then on they stay as they are: that they still load is what they are for.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "tests/fixtures"
RUNS = ("table", "lora")
WORDS = ("ant", "bee", "cat", "dog")
SOMEWHERE = {"git": None, "machine": {"system": "Linux", "processor": "a processor", "cores": 1}}
"""What provenance.json says in the place of where they were really made."""


def main() -> int:
    """Train in a folder of its own, where every path is relative; then replace what is committed."""
    sys.path.insert(0, str(ROOT / "tests"))
    from strop.cli.main import main as strop
    from tiny_hf import make

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make(Path("model"), template=False, words=WORDS, width=16)
        for name in RUNS:
            shutil.copy(FIXTURES / f"recipes/{name}.py", ".")
            if code := strop(["train", f"{name}.py", "--run", name]):
                return code
            tidy(Path(name))
        shutil.rmtree(FIXTURES / "runs", ignore_errors=True)
        for name in ("model", *RUNS):
            shutil.copytree(name, FIXTURES / "runs" / name)
    return 0


def tidy(run: Path) -> None:
    """One file for the database, no lock, and nothing about this machine."""
    (run / "lock").unlink()
    file = run / "provenance.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | SOMEWHERE, indent=2))
    database = sqlite3.connect(run / "run.sqlite", isolation_level=None)
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


if __name__ == "__main__":
    sys.exit(main())
