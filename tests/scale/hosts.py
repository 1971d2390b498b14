"""Two hosts on one machine, each with a network of its own and a link between them that can be cut.

They are namespaces of the kernel, and end with the process that made them, which has been started by `APART`. They
share the machine's files, processors and memory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

APART = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Before a command: it has a network and processes of its own, and is root of these alone."""
NEAR, FAR, PORT = "10.77.0.1", "10.77.0.2", "6379"
HOST = "STROP_TEST_HOST"
"""The variable that says to a process which host it is on."""
SOON = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
}
"""Ray takes a host for dead that has not answered four times in a row: after eight seconds."""
ROOM = ("--num-cpus", "1", "--object-store-memory", str(100 * 2**20), "--block")
"""For one replica."""
SECONDS = 120


def two_hosts(mark: Path) -> str:
    """The address of a Ray of two hosts. This process is on the near one, and so is the head.

    The link is down from when the file `mark` is there until `over(mark)` is.
    """
    from strop.scale.cluster import SETTINGS

    os.environ.update(SETTINGS | SOON | {HOST: NEAR, "RAY_AUTH_MODE": "disabled"})  # nobody else is in this network
    far = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", 'read go && exec "$@"', "sh", *command("--address", f"{NEAR}:{PORT}", FAR)],
        env={**os.environ, HOST: FAR},
        stdin=subprocess.PIPE,
    )
    link(far.pid)
    subprocess.Popen(command("--head", "--include-dashboard=false", f"--port={PORT}", NEAR))
    assert far.stdin is not None
    far.stdin.write(b"go\n")
    far.stdin.close()
    until(is_open, "Ray's head")
    join()
    until(lambda: num_hosts() == 2, "Ray on both hosts")
    threading.Thread(target=cut, args=[mark], daemon=True).start()
    return f"{NEAR}:{PORT}"


def command(*words: str) -> list[str]:
    """The command that starts Ray on a host, whose address is the last word."""
    *told, host = words
    return [str(Path(sys.executable).with_name("ray")), "start", *told, "--node-ip-address", host, *ROOM]


def link(far: int) -> None:
    """Give this network and that of the process `far` an address each, and join them.

    The addresses are of the loopback devices: a host goes on talking to itself while the link is down.
    """
    until(lambda: os.stat(f"/proc/{far}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino, "the far network")
    ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far))
    there = ("nsenter", f"--net=/proc/{far}/ns/net")
    for where, own, name, other in (((), NEAR, "near", FAR), (there, FAR, "far", NEAR)):
        ip("link", "set", "lo", "up", where=where)
        ip("address", "add", f"{own}/32", "dev", "lo", where=where)
        bring_up(name, own, other, where)


def bring_up(name: str, own: str, other: str, where: tuple[str, ...] = ()) -> None:
    """A host's end of the link, and the way to the other host through it."""
    ip("link", "set", name, "up", where=where)
    ip("route", "add", f"{other}/32", "dev", name, "src", own, where=where)


def ip(*words: str, where: tuple[str, ...] = ()) -> None:
    subprocess.run([*where, "ip", *words], check=True, timeout=SECONDS)


def join() -> None:
    """Connect this process to the head: the run that follows stays so."""
    import ray

    ray.init(address=f"{NEAR}:{PORT}", log_to_driver=False, logging_level="ERROR")


def is_open() -> bool:
    """Whether the head listens."""
    with socket.socket() as asking:
        return asking.connect_ex((NEAR, int(PORT))) == 0


def num_hosts() -> int:
    import ray

    return sum(node["Alive"] for node in ray.nodes())


def over(mark: Path) -> Path:
    return mark.with_suffix(".over")


def cut(mark: Path) -> None:
    """Take the link down, and up again."""
    until(mark.exists, "the step in which the link is cut")
    ip("link", "set", "near", "down")
    until(over(mark).exists, "the step in which the link is back")
    bring_up("near", NEAR, FAR)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {SECONDS} s for {what}"
        time.sleep(0.05)
