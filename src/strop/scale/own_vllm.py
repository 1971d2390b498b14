"""The vLLM server of a replica, which starts it, and with which it ends."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strop.endpoint.aside import run_aside
from strop.endpoint.request import Failed, client_of, received
from strop.policies.transformer import Transformer
from strop.scale.engines import VLLM, Ray
from strop.scale.server import Published, opened
from strop.scale.unit import Unfit
from strop.scale.vllm_flags import arguments
from strop.scale.vllm_server import VLLMServer
from strop.scale.weight_files import write_folder
from strop.types import Codec, Policy

if TYPE_CHECKING:
    from strop.config import TrainConfig

KEEPER = """
folder=$1; shift
exec 3<&0
(cat <&3 >/dev/null; rm -rf -- "$folder"; kill -9 0) &
"$@" 3<&- </dev/null
rm -rf -- "$folder"
kill -9 0
"""
"""Runs a server until it ends or standard input does, which is when the replica is gone, however it went. Then the
folder goes, and whatever else the server has started. Two processes see to it, since Ray kills a worker's children, and
the shell is one."""
TICK = 0.5
"""Seconds between two looks at a server that starts."""
LOOK_SECONDS = 10.0
"""For the answer to such a look."""
END_SECONDS = 60.0
"""For a server to be gone that was killed, and its folder with it."""


class OwnVLLM(VLLMServer):
    """Started from the policy's weights as they are. What vLLM writes goes to stderr, which is the replica's log.

    Raises ValueError where there is no such command, Unfit where it does not answer within `start_seconds`.
    """

    def __init__(self, config: TrainConfig, policy: Policy, codec: Codec) -> None:
        own, dtype = config.engine, config.dtype
        assert isinstance(own, Ray)
        assert isinstance(policy, Transformer), "refused when the run was built"
        assert dtype is not None
        command, folder = _command(own.vllm), Path(tempfile.mkdtemp(prefix="strop-vllm-"))
        settings = VLLM(
            url=f"http://127.0.0.1:{_free_port()}/v1",
            weights=str(folder),
            request_seconds=own.unit_seconds,
            total_seconds=own.unit_seconds,
        )
        super().__init__(settings, codec, dtype)
        model = folder / write_folder(folder, policy.write_weights)
        flags = shlex.split(own.vllm_flags)
        self._process = kept([command, *arguments(settings, dtype, model), *flags], folder)
        try:
            self._wait(own.start_seconds)
        except Unfit:
            self.end()
            raise

    def end(self) -> None:
        """End the server, and what it has started; the folder goes too."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(END_SECONDS)

    def lost(self, reason: str, published: Published) -> Exception:
        """The replica goes with it, and Ray places another one."""
        return Unfit(reason)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self._process.poll() is not None:
                raise Unfit("its vLLM server ended while it started")
            if time.monotonic() > deadline:
                raise Unfit(f"its vLLM server did not answer within {seconds:g} s (engine.start_seconds)")
            time.sleep(TICK)

    def _answers(self) -> bool:
        async def look() -> None:
            async with client_of(self.base, "") as client:
                await received(opened(client, "/health", LOOK_SECONDS), LOOK_SECONDS)

        try:
            run_aside(look())
        except Failed:
            return False
        return True


def kept(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """The command, which ends with this process, and the folder with it."""
    return subprocess.Popen(
        ["sh", "-c", KEEPER, "sh", folder, *command],
        stdin=subprocess.PIPE,
        stdout=2,  # a replica's stdout is Ray's
        start_new_session=True,
        env={**os.environ, "VLLM_SERVER_DEV_MODE": "1"},
    )


def _command(vllm: str) -> str:
    found = shutil.which(vllm)
    if found is None:
        raise ValueError(
            f"engine.vllm={vllm!r} is no command on {socket.gethostname()}: it is the path of `vllm` in an "
            "environment of its own, on each machine that has a replica."
        )
    return found


def _free_port() -> int:
    """One that nobody listens at now. Where somebody takes it first vLLM ends, and the replica is replaced."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
