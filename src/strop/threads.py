"""The number of threads of a run, from the config, OMP_NUM_THREADS, or the processors that it may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "OMP_NUM_THREADS"
MOST = 256
"""Threads allowed on any machine, so that a run from a larger one can be resumed. Far more crash the process."""
CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Threads:
    """A number of threads, and where it comes from; the source is empty if the config sets it."""

    number: int
    source: str = ""


def threads_of(
    asked: int | None,
    environment: Mapping[str, str] = os.environ,
    cgroups: Path = CGROUPS,
    membership: Path = MEMBERSHIP,
) -> Threads:
    """The number in the config; else OMP_NUM_THREADS; else the processors that system and container allow."""
    if asked is not None:
        return Threads(_allowed("threads", asked))
    variable = environment.get(VARIABLE, "").strip()
    if variable:
        return Threads(_allowed(VARIABLE, _outermost(variable)), VARIABLE)
    cores, quota = num_cores(), container_quota(cgroups, membership)
    if quota is not None and quota < cores:
        return Threads(max(int(quota), 1), f"the container's quota of {quota:g} processors")
    return Threads(cores, "every core that this process may use")


def num_cores() -> int:
    """The processors that the system lets this process run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def container_quota(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> float | None:
    """The CPU quota of this process's control groups, in processors; None without a limit.

    A control group is limited by its parents too. In a container the group that the system names may not be visible:
    then the top of the mounted tree is the container's own group.
    """
    lines = membership.read_text(encoding="utf-8").splitlines() if membership.is_file() else []
    groups = {controllers: Path(path.lstrip("/")) for _, controllers, path in (line.split(":", 2) for line in lines)}
    own = next((path for controllers, path in groups.items() if "cpu" in controllers.split(",")), None)
    tree = cgroups if own is None else cgroups / "cpu"
    own = groups.get("", Path()) if own is None else own
    quotas = [_quota(tree / group) for group in (own, *own.parents)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(group: Path) -> float | None:
    """The limit of one control group, of version 2 (cpu.max) or 1 (cpu.cfs_quota_us and cpu.cfs_period_us)."""
    files = [file for file in ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us") if (group / file).is_file()]
    words = [word for file in files for word in (group / file).read_text(encoding="utf-8").split()]
    if len(words) != 2 or not all(map(str.isdecimal, words)):  # "max" and "-1" mean no limit
        return None
    return int(words[0]) / int(words[1])


def _outermost(text: str) -> int:
    """The first number of OpenMP's list, which has one for each level of nesting; a run has one level."""
    first = text.split(",")[0].strip()
    if not first.isdecimal() or int(first) < 1:
        raise ValueError(f"{VARIABLE}={text!r}: it is a whole number, at least 1. Correct or unset it, or set threads.")
    return int(first)


def _allowed(name: str, number: int) -> int:
    most = max(MOST, os.cpu_count() or 1)
    if number > most:
        raise ValueError(
            f"{name}={number}: a run takes at most {most} threads, and this process may use {num_cores()} cores. "
            "Threads without a core of their own make it slower."
        )
    return number
