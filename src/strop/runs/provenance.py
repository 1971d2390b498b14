"""Where a run came from: versions, code, machine, threads, dtype, seed and data."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("strop", "torch", "transformers", "tokenizers", "peft", "numpy", "gymnasium", "stable-baselines3")
# What must be equal for a resumed run to be equal bit for bit.
_DECISIVE = ("threads", "dtype", "seed", "data", "versions", "machine")


def collect(
    *,
    seed: int,
    dtype: str,
    threads: int,
    data: Mapping[str, str],
    accelerator: str = "",
    packages: Sequence[str] = (),
) -> dict[str, Any]:
    """The provenance as JSON-able facts; `data` maps the name of each data file to its text, which is hashed.

    `packages` are those that this run uses and most do not. `accelerator` is the hardware of the run's device in words,
    if that is not the CPU.
    """
    accelerated = {"accelerator": accelerator} if accelerator else {}
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "dtype": dtype,
        "threads": threads,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in (*_PACKAGES, *packages)}},
        "git": _git_revision(Path.cwd()),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count(), **accelerated},
        "data": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in data.items()},
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences that could change the bits of a resumed run, one line each."""
    return [
        f"{name}: {before} -> {after}"
        for key in _DECISIVE
        for name, before, after in _pairs(key, then.get(key), now.get(key))
        if before != after
    ]


def _pairs(key: str, then: Any, now: Any) -> list[tuple[str, Any, Any]]:
    if not (isinstance(then, Mapping) and isinstance(now, Mapping)):
        return [(key, then, now)]
    return [(f"{key}.{name}", then.get(name), now.get(name)) for name in sorted({*then, *now})]


@functools.cache
def _version(package: str) -> str | None:
    """The installed version, as it was first: what this process has loaded stays that."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_revision(directory: Path) -> str | None:
    """The commit of the directory's checkout, with "+changes" if files differ from it; None outside a repository."""
    if shutil.which("git") is None:
        return None
    head = _git(directory, "rev-parse", "HEAD")
    if head is None:
        return None
    return f"{head}+changes" if _git(directory, "status", "--porcelain", "--untracked-files=no") else head


def _git(directory: Path, *words: str) -> str | None:
    done = subprocess.run(["git", *words], cwd=directory, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
