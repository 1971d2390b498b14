"""The vLLM server of a replica, which starts it, and with which it ends."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.endpoint.aside import run_aside
from strop.endpoint.request import Failed, client_of, received
from strop.policies.transformer import Transformer
from strop.scale.engines import VLLM, Ray
from strop.scale.http_answer import object_in, within
from strop.scale.server import Published, opened
from strop.scale.unit import Unfit
from strop.scale.vllm_flags import arguments
from strop.scale.vllm_server import INFO, VLLMServer
from strop.scale.weight_files import write_folder
from strop.types import Codec, Policy, Stopped

if TYPE_CHECKING:
    from strop.config import TrainConfig

KEEPER = """
trap : TERM INT HUP
folder=$1; shift
exec 3<&0
(trap : TERM INT HUP; cat <&3 >/dev/null; rm -rf -- "$folder"; kill -9 0) &
"$@" 3<&- </dev/null
rm -rf -- "$folder"
kill -9 0
"""
"""Runs a server until it ends or standard input does, which is when the replica is gone, however it went. Then the
folder goes, and whatever else the server has started. Two processes see to it, since Ray kills a worker's children, and
the shell is one; and a signal to all of a job's processes ends neither before."""
TICK = 0.5
"""Seconds between two looks at a server that starts."""
LOOK_SECONDS = 10.0
"""For the answer to such a look."""
END_SECONDS = 60.0
"""For a server to be gone that was killed, and its folder with it."""
SHARE = 0.8
"""Of `start_seconds`, for the server: the run's own clock began before, and would end the wait without its reason."""
_held: set[int] = set()
"""The ends of the keepers' standard inputs. What a replica forks would hold them open."""


def _let_go() -> None:
    for end in _held:
        os.close(end)


os.register_at_fork(after_in_child=_let_go)


class OwnVLLM(VLLMServer):
    """Started from the policy's weights as they are. What vLLM writes goes to stderr, which is the replica's log.

    Raises ValueError where there is no such command, or it starts another server than is asked for; Unfit where it does
    not answer within a share of `start_seconds`. Where the server is gone, or of no use, it ends, and with it what it
    has started and its folder.
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
        self._temporary, self._process = folder, None
        try:
            self._model = folder / write_folder(folder, policy.write_weights)
            flags = shlex.split(own.vllm_flags)
            self._process = kept([command, *arguments(settings, dtype, self._model), *flags], folder)
            self._wait(SHARE * own.start_seconds)
        except BaseException:
            self.end()
            raise

    def publish(self, policy: Policy) -> Published:
        """Have it load the policy's weights. Raises Unfit where it does not: what went wrong is not looked into, since
        another server does not take long."""
        try:
            self._require_running()
            return super().publish(policy)
        except (Unfit, Stopped, OSError) as error:
            self.end()
            raise Unfit(str(error)) from None

    def end(self) -> None:
        """End the server, and what it has started; the folder goes too."""
        if self._process is not None:
            assert self._process.stdin is not None
            _held.discard(self._process.stdin.fileno())
            self._process.stdin.close()
            self._process.wait(END_SECONDS)
            self._process = None
        shutil.rmtree(self._temporary, ignore_errors=True)  # gone already, unless it was begun again meanwhile

    def lost(self, reason: str, published: Published) -> Exception:
        """The replica goes with it, and Ray places another one."""
        return Unfit(reason)

    def require_right(self, info: Mapping[str, Any]) -> None:
        """Also for another server that has its port."""
        if not self._is_ours(info):
            raise Failed("another server answers there, which has its port")
        super().require_right(info)

    def _is_ours(self, info: Mapping[str, Any]) -> bool:
        """Each has a model's folder that nobody else has."""
        return within(within(info.get("vllm_config"), "model_config"), "model") == str(self._model)

    def _require_running(self) -> None:
        if self._process is None or self._process.poll() is not None:
            raise Unfit("its vLLM server has ended")

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._is_there():
            self._require_running()
            if time.monotonic() > deadline:
                raise Unfit(f"its vLLM server did not answer within {seconds:g} s ({SHARE:g} of engine.start_seconds)")
            time.sleep(TICK)
        self._require_running()

    def _is_there(self) -> bool:
        """Whether it answers. Raises ValueError for one that would not do, however often it is started."""

        async def look() -> dict[str, Any]:
            async with client_of(self.base, "") as client:
                return object_in(await received(opened(client, INFO, LOOK_SECONDS), LOOK_SECONDS))

        try:
            info = run_aside(look())
        except Failed:
            return False
        if not self._is_ours(info):
            return False  # it will end by itself, since its port is taken
        try:
            self.require_right(info)
        except Failed as failed:
            raise ValueError(f"the server that engine.vllm starts will not do: {failed.reason}.") from None
        return True


def kept(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """The command, which ends with this process, and the folder with it. Its temporary files go there, too."""
    learners = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # of another environment
    process = subprocess.Popen(
        ["sh", "-c", KEEPER, "sh", folder, *command],
        stdin=subprocess.PIPE,
        stdout=2,  # a replica's stdout is Ray's
        start_new_session=True,
        env={**learners, "VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1", "TMPDIR": str(folder)},
    )
    assert process.stdin is not None
    _held.add(process.stdin.fileno())
    return process


def _command(vllm: str) -> str:
    found = shutil.which(vllm)
    if found is None:
        raise ValueError(
            f"engine.vllm={vllm!r} is no command on {socket.gethostname()}: it is the path of `vllm` in an "
            "environment of its own, on each machine that has a replica."
        )
    return found


def _free_port() -> int:
    """One that nobody listens at now. Where somebody takes it first vLLM ends, and who answers there is not taken for
    it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
