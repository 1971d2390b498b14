"""Packages of the Python Package Index, downloaded for the data in them, into the user's cache. None is installed."""

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


def download(package: str, version: str, sha256: str, into: Path, is_wheel: bool = True) -> Path:
    """The wheel or the source archive alone, without its requirements, of exactly this hash. `into` is a new folder.

    Of a source archive pip wants to know the name and version, and so runs its setup.py; the hash is checked before.
    """
    into.mkdir(parents=True)
    pinned = into / "pinned.txt"
    pinned.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
    options = ["--no-deps", "--require-hashes", "--quiet", "--disable-pip-version-check"]
    options.append("--only-binary=:all:" if is_wheel else f"--no-binary={package}")
    if not is_wheel and find_spec("setuptools"):
        options.append("--no-build-isolation")  # else pip downloads setuptools
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(into), "--requirement", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(into.glob("*.whl" if is_wheel else "*.tar.gz"))
    if done.returncode != 0 or len(found) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise ConnectionError(
            f"could not download {package}=={version} ({errors[-1].removeprefix('ERROR: ')}). "
            "Is there a network, and does pip reach its index? Then try again."
        )
    with found[0].open("rb") as file:
        own = hashlib.file_digest(file, "sha256").hexdigest()
    if own != sha256:
        raise ValueError(f"{found[0].name} has the sha256 {own}, not the pinned {sha256}: it is not used.")
    return found[0]
