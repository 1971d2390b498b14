"""Ray, started on this machine or joined: with a deadline, without telemetry, and without taking over signals."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from strop.scale.engines import Ray
from strop.types import Stopped

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
"""Ray sends usage statistics, and has its workers wait for everything else on a machine, unless it is told not to."""
TOKEN = (
    " `ray start --head` asks for a token where ~/.ray/auth_token is there, which also a run on this machine makes: "
    "set RAY_AUTH_MODE=token here and wherever a node joins, or start the head with RAY_AUTH_MODE=disabled."
)
"""What Ray's own refusal of who gives no token does not say."""
FOR_GOOD = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.ENAMETOOLONG})
"""Errors of the system that do not pass by themselves."""
START_AGAIN = 1.0
"""Seconds between two tries to start Ray."""
_alone = threading.Lock()
_runs = 0
"""Of this process, on the cluster that was started here: the last one ends it."""


def require_ray() -> None:
    """Raise ModuleNotFoundError, with what to install, where ray is missing."""
    if find_spec("ray") is None:
        raise ModuleNotFoundError('engine=ray needs the package ray: pip install "strop[ray]"')


def connect(settings: Ray, processors: int) -> bool:
    """Start or join a cluster; whether `disconnect` is to be called at the end.

    A process that is connected already stays so, and other runs of this process may share what one of them has started.
    None of an address starts a new cluster with as many processors as all replicas ask for, and never joins one that an
    earlier run has left. Raises Stopped where none is there within `start_seconds`, or at the address.
    """
    global _runs
    require_ray()
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    with _alone:
        if not ray.is_initialized():
            _init(settings, processors)
        elif not _runs:
            return False
        _runs += 1
        return True


def disconnect() -> None:
    """Leave the cluster; one that was started here ends with the last run on it."""
    global _runs
    import ray

    with _alone:
        _runs -= 1
        if not _runs:
            with _signals_kept():
                ray.shutdown()


def _init(settings: Ray, processors: int) -> None:
    import ray

    own = {"address": "local", "num_cpus": processors, "include_dashboard": False}
    wanted = own if settings.address is None else {"address": settings.address}
    deadline = time.monotonic() + settings.start_seconds
    with _signals_kept():
        while True:
            try:
                ray.init(**wanted, log_to_driver=False, logging_level="ERROR")
                return
            except Exception as error:  # a busy machine may need more than Ray's own 30 s, which are a plain Exception
                ray.shutdown()
                if settings.address is not None:
                    hint = TOKEN if "InvalidAuthToken" in str(error) else ""
                    raise Stopped(f"no Ray was found at {settings.address}: {error}{hint}") from error
                if _would_come_again(error):
                    raise Stopped(f"no Ray can be started on this machine: {error}") from error
                if time.monotonic() > deadline:
                    limit = f"{settings.start_seconds:g} s (engine.start_seconds)"
                    raise Stopped(f"no Ray was started on this machine within {limit}: {error}") from error
                time.sleep(START_AGAIN)


def _would_come_again(error: Exception) -> bool:
    """Such as a TMPDIR that is full, or whose name is too long for a socket; a busy machine is given its time."""
    return isinstance(error, OSError) and (error.errno in FOR_GOOD or "AF_UNIX path" in str(error))


@contextmanager
def _signals_kept() -> Iterator[None]:
    """ray sets handlers of SIGTERM, and a run has its own: it ends after the step in progress, and saves it."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
