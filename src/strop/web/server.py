"""The server process: a socket, who may come in, and an end that lets running answers finish."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import uvicorn

from strop.assistant.home import Assistant, create
from strop.assistant.keys import Keys
from strop.assistant.retention import daily
from strop.assistant.settings import FILE as SETTINGS
from strop.endpoint.address import is_loopback
from strop.serving.actor import Actor, find, load
from strop.serving.engine import Engine
from strop.types import Sampling
from strop.web.app import app
from strop.web.connection import MOST_CONNECTIONS, Connection
from strop.web.door import Door
from strop.web.follower import Follower
from strop.web.guard import Limits
from strop.web.logs import log_no_texts
from strop.web.preparing import preparing
from strop.web.served import Served
from strop.web.weights import Weights

AS_FAST = 100_000
"""Requests a second, and at once, of a learner: beyond what anything answers."""


def door_of(folder: Path | None, host: str, names: Sequence[str]) -> Door:
    """Who may come in. Raises ValueError for another address than loopback, or for names, where nobody has a key; and
    for what is no name."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
            raise ValueError(f"--name {name}: it is a host's name alone, such as assistant.example.org.")
    keys, is_public = None if folder is None else Keys(folder), not is_loopback(host)
    if (is_public or names) and (keys is None or not keys.all()):
        asked = f"--host {host}" if is_public else f"--name {names[0]}"
        made = "--assistant DIR, and a key for everybody" if folder is None else "a key for everybody first"
        raise ValueError(
            f"{asked}: without keys only this machine may ask (127.0.0.1, ::1 or localhost). Other machines take "
            f"{made}: strop assistant {folder or 'DIR'} key add NAME."
        )
    return Door(keys, [name.lower() for name in names], is_public)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises ValueError for a host that is no address, OSError where the address is not this machine's or the port is
    taken.
    """
    address = "127.0.0.1" if host.lower() == "localhost" else host
    try:
        is_six = ipaddress.ip_address(address).version == 6
    except ValueError:
        raise ValueError(
            f"--host {host}: it is an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them."
        ) from None
    try:
        return socket.create_server((address, port), family=socket.AF_INET6 if is_six else socket.AF_INET)
    except OSError as error:
        told = f"cannot listen at {address}, port {port}: {error.strerror}. --port takes another; 0 takes a free one"
        raise OSError(error.errno, told) from error


def address_of(listener: socket.socket) -> str:
    """Its URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server(served: Served) -> uvicorn.Server:
    """A server for `run(sockets=[listening(...)])`. The first Ctrl-C or SIGTERM lets running answers finish within
    `limits.stop_seconds`, the second ends at once."""
    log_no_texts()
    config = uvicorn.Config(
        app(served),
        log_level="error",  # a warning for each request that is no HTTP would fill the disk of whoever keeps them
        access_log=False,
        # only a server before this one, on the same machine, is believed when it says whom it speaks for
        proxy_headers=bool(served.door.names),
        forwarded_allow_ips="127.0.0.1,::1",
        server_header=False,
        ws="none",
        lifespan="off",
        h11_max_incomplete_event_size=16_384,
        http=Connection,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=round(served.limits.stop_seconds),
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def serving(
    name: str | None,
    folder: Path | None,
    tell: Callable[[str], None],
    canary: float = 0.0,
    door: Door | None = None,
    is_keeping: bool = True,
    weights: Path | None = None,
) -> Iterator[Served]:
    """A run or a model; or the assistant of a folder, made from it if there is none. What was opened is closed.

    An assistant's folder is followed: when another version serves or waits, so it does here, and one that waits
    answers the share `canary` of the conversations. `tell` says so.

    door        by default that of loopback
    is_keeping  whether answers, feedback and facts of people who agree are kept. Raises ModuleNotFoundError where they
                are to be kept, and the packages are missing that find personal data in them
    weights     the folder through which a learner publishes weights of the same policy, without an assistant
    """
    limits = Limits()
    with contextlib.ExitStack() as opened:
        if folder is None:
            assert name is not None
            served = _learning(name, weights) if weights else Served(name, Engine(load(find(name))), limits=limits)
            opened.callback(lambda: served.engine.close(limits.stop_seconds))
            yield served
            return
        assistant = _assistant(name, folder)
        door = door or door_of(folder, "127.0.0.1", ())
        store = opened.enter_context(assistant.feedback())
        if is_keeping:
            store.masking.load()
        memory = opened.enter_context(assistant.memory()) if is_keeping else None
        served = opened.enter_context(Follower(assistant, store, memory, limits, tell, canary, door))
        opened.enter_context(daily(assistant, store, tell))
        if is_keeping:
            opened.enter_context(preparing(assistant, store, lambda: served.versions, tell))
        yield served


def _learning(name: str, folder: Path) -> Served:
    """What serves while its policy learns elsewhere. The learner says all of the sampling, and asks without pause."""
    found = find(name)

    def make() -> Actor:
        actor = load(found)
        return replace(actor, sampling=Sampling(max_tokens=actor.sampling.max_tokens))

    served = Served(name, Engine(make()), limits=Limits(rate=AS_FAST, burst=AS_FAST))
    served.weights = Weights(served, folder, make)
    return served


def _assistant(name: str | None, folder: Path) -> Assistant:
    """The assistant of this folder. Raises ValueError for one that was made from something else."""
    if not (folder / SETTINGS).exists():
        if name is None:
            raise ValueError(f"there is no assistant in {folder} yet: say which RUN or MODEL it begins with.")
        return create(folder, name)
    assistant = Assistant(folder)
    origin = assistant.versions.manifest(0).origin
    if name not in (None, origin):
        raise ValueError(
            f"the assistant in {folder} was made from {origin}, not from {name}: leave the name out, or give another "
            "folder."
        )
    return assistant
