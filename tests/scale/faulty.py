"""A run on Ray in a process of its own, with one fault. The faults of replicas happen in the reward, where they play.

    python faulty.py DIR NAME [STALENESS]

trains DIR/run, or goes on with it. A fault happens once: it leaves DIR/NAME behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this file runs as a script

import hosts

import fleet
import strop
from strop.runs.checkpoint import Checkpoints
from strop.runs.directory import is_run
from strop.scale.pool import Pool
from strop.scale.ray_engine import RayEngine

STEPS = 6
LIMIT = "RAY_memory_usage_threshold"
"""The variable with the share of a machine's memory at which Ray kills a worker."""
STEP = 2
"""In which something happens."""


def is_first(mark: Path) -> bool:
    """Whether nobody has been here: of several processes, one."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def memory() -> dict[str, int]:
    """What the system says of its memory, in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def missing_to(share: float) -> int:
    """The bytes that are left until this share of the machine's memory is in use."""
    now = memory()
    return max(int(share * now["MemTotal"]) - (now["MemTotal"] - now["MemAvailable"]), 0)


def faulty(task: strop.Task, episode: strop.Episode) -> float:
    """The reward; in step 2 something happens to the process that plays."""
    fault, mark = task.data["fault"], Path(task.data["mark"])
    if fault in ("stopped", "memory", "node", "head") and episode.seed[1] == STEP and is_first(mark):
        if fault == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault == "memory":
            hoard = bytearray(missing_to(float(os.environ[LIMIT])) + 2**30)
            hoard[::4096] = b"x" * len(hoard[::4096])
            time.sleep(60)
        else:
            time.sleep(2)  # whoever watches for the mark takes the node, or the head, away meanwhile
    if fault == "link":
        lose_the_link(episode, mark)
    return fleet.first_word(task, episode)


def lose_the_link(episode: strop.Episode, mark: Path) -> None:
    """On the far host in step 2: the link is cut, and the answer comes too late. On the near one in step 4: it is back.

    Without hosts, nothing.
    """
    step, host, is_here = episode.seed[1], os.environ.get(hosts.HOST), mark.with_suffix(".here")
    if host == hosts.FAR:
        is_here.touch()
        if step == STEP and is_first(mark):
            time.sleep(2)
            mark.with_suffix(".answered").touch()
    elif host == hosts.NEAR:
        if step < STEP:
            hosts.until(is_here.exists, "the replica of the far host")
        elif step == STEP + 2 and is_first(hosts.over(mark)):
            time.sleep(8)  # the far host has this long to come back with its answer


def tasks(fault: str, mark: Path) -> list[strop.Task]:
    return [strop.Task(word, word, word, {"fault": fault, "mark": str(mark)}) for word in fleet.WORDS]


def config(home: Path, fault: str, engine, **changed) -> strop.TrainConfig:
    usual = {"steps": STEPS, "checkpoint_every": 1, "rewards": {"r": faulty}}
    return fleet.config(engine=engine, tasks=tasks(fault, home / fault), **usual, **changed)


def die_at(point: str, mark: Path) -> None:
    """From now on this process, the driver, kills itself in step 2: in a publish, while it waits for episodes, before a
    checkpoint gets its name, or before LATEST names it."""
    kind, name = {
        "publish": (Pool, "publish"),
        "waiting": (Pool, "_look"),
        "drawing": (RayEngine, "_draw"),
        "saving": (Checkpoints, "_remove"),
        "latest": (Checkpoints, "mark_latest"),
    }[point]
    whole, calls = getattr(kind, name), []

    def deadly(*arguments, **named):
        calls.append(name)
        if len(calls) == 3 and is_first(mark):
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **named)

    setattr(kind, name, deadly)


def three_nodes(mark: Path) -> str:
    """The address of a head and two nodes with room for a replica each. One leaves in step 2, and another comes."""
    from strop.scale.cluster import SETTINGS

    os.environ.update(SETTINGS)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    def change_places() -> None:
        while not mark.exists():
            time.sleep(0.05)
        cluster.remove_node(nodes[0], allow_graceful=False)
        cluster.add_node(num_cpus=1)

    threading.Thread(target=change_places, daemon=True).start()
    return str(cluster.address)


def main(home: Path, fault: str, staleness: int) -> None:
    if fault in ("publish", "waiting", "drawing", "saving", "latest"):
        die_at(fault, home / fault)
    places = {"node": three_nodes, "link": hosts.two_hosts}
    address = places[fault](home / fault) if fault in places else None
    seconds = 20.0 if fault == "stopped" else 300.0
    engine = fleet.ray_of(address=address, staleness=staleness, unit_seconds=seconds)
    run = home / "run"
    strop.train(config(home, fault, engine), run, resume=is_run(run), progress=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
