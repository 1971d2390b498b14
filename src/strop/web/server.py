"""The server process: a socket on loopback, and an end that lets running answers finish."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from strop.assistant.home import Assistant, create
from strop.assistant.retention import daily
from strop.assistant.settings import FILE as SETTINGS
from strop.serving.actor import find, load
from strop.serving.engine import Engine
from strop.web.app import app
from strop.web.follower import Follower
from strop.web.guard import Limits, is_loopback
from strop.web.logs import log_no_texts
from strop.web.preparing import preparing
from strop.web.served import Served


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises ValueError for an address that is not this machine's loopback, OSError where the port is taken.
    """
    if not is_loopback(host):
        raise ValueError(
            f"--host {host}: only this machine may ask (127.0.0.1, ::1 or localhost). There are no keys and no rate "
            "limits yet, so other addresses are refused."
        )
    address = "127.0.0.1" if host.lower() == "localhost" else host
    is_six = ipaddress.ip_address(address).version == 6
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
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        h11_max_incomplete_event_size=16_384,
        http="h11",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=round(served.limits.stop_seconds),
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def serving(
    name: str | None, folder: Path | None, tell: Callable[[str], None], canary: float = 0.0, is_keeping: bool = True
) -> Iterator[Served]:
    """A run or a model; or the assistant of a folder, made from it if there is none. What was opened is closed.

    An assistant's folder is followed: when another version serves or waits, so it does here, and one that waits
    answers the share `canary` of the conversations. `tell` says so.

    is_keeping  whether answers, feedback and facts of people who agree are kept. Raises ModuleNotFoundError where they
                are to be kept, and the packages are missing that find personal data in them
    """
    limits = Limits()
    with contextlib.ExitStack() as opened:
        if folder is None:
            assert name is not None
            engine = Engine(load(find(name)))
            opened.callback(engine.close, limits.stop_seconds)
            yield Served(name, engine, limits=limits)
            return
        assistant = _assistant(name, folder)
        store = opened.enter_context(assistant.feedback())
        if is_keeping:
            store.masking.load()
        memory = opened.enter_context(assistant.memory()) if is_keeping else None
        served = opened.enter_context(Follower(assistant, store, memory, limits, tell, canary))
        opened.enter_context(daily(assistant, store, tell))
        if is_keeping:
            opened.enter_context(preparing(assistant, store, lambda: served.versions, tell))
        yield served


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
