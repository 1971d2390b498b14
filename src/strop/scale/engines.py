"""The kinds of `TrainConfig.engine`. None imports ray or an HTTP client."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import ClassVar

from strop.endpoint.address import check_url, host_of, is_loopback
from strop.functional.bounds import check_at_least, check_positive
from strop.types import Batching, check_fields

MOST_STALENESS = 4
"""Versions that episodes may be behind. Further behind, learning suffers more than what is gained by not waiting."""

NO_CHOICES = "an engine over HTTP cannot be told the choices of an action: take another engine."
COLDEST = 0.01
"""The lowest temperature above 0 that vLLM samples at."""
OWN_FLAGS = frozenset({"--host", "--port", "--uds", "--dtype", "--logprobs-mode", "--api-key", "--ssl-keyfile"})
"""Flags of `vllm serve` that a replica gives, or with which it could not ask its server."""
MOST_AT_ONCE = 64
"""Requests that may wait at `strop serve` for a place in its batch: it refuses one more (429)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Episodes are played in the process that learns.

    batch  what is decoded together: step for all tasks of a step, which is faster; group for one task's group after
           the other, as a replica of Ray decodes them: then both engines give the same bits
    """

    batch: Batching = "step"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batch not in ("step", "group"):
            raise ValueError(f"engine.batch={self.batch!r}: allowed are step, group.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """Episodes are played by replicas, which Ray places: actors that hold a copy of the policy and play whole groups.
    What one of them is given at a time is a unit.

    address          of the cluster to join (auto, host:port); none starts one on this machine for this run
    replicas         how many play beside each other
    staleness        most versions that episodes may be behind the policy that learns from them; 0 waits for the newest
    groups           of a unit: the groups of so many tasks are decoded together, as one batch. More of them are faster,
                     as long as a step has a unit for each replica, and are lost together
    unit_seconds     time limit for a unit; after it the replica is replaced, and the unit played again
    start_seconds    time limit for the start of the cluster, and of the first replica
    most_losses      replicas that may be lost within ten minutes; one more stops the run
    vllm             the `vllm` command of an environment of its own, at this path on each machine: each replica starts
                     a vLLM server with it, and samples there. Empty: replicas sample with their copy of the policy
    vllm_flags       more flags of that command, as on a command line
    """

    address: str | None = None
    replicas: int = 2
    staleness: int = 0
    groups: int = 1
    unit_seconds: float = 600.0
    start_seconds: float = 120.0
    most_losses: int = 10
    vllm: str = ""
    vllm_flags: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("engine.replicas", self.replicas, 1)
        check_at_least("engine.groups", self.groups, 1)
        check_at_least("engine.most_losses", self.most_losses, 0)
        if not 0 <= self.staleness <= MOST_STALENESS:
            raise ValueError(
                f"engine.staleness={self.staleness}: it is 0 (every episode is of the newest policy) to "
                f"{MOST_STALENESS}; episodes of older policies cost more quality than their speed is worth."
            )
        for name in ("unit_seconds", "start_seconds"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"engine.{name}={getattr(self, name)}: it is positive and finite.")
        self._refuse_flags()

    def _refuse_flags(self) -> None:
        if self.vllm_flags and not self.vllm:
            raise ValueError(f"engine.vllm_flags={self.vllm_flags!r} are for engine.vllm, which names no vllm command.")
        try:
            flags = {word.partition("=")[0] for word in shlex.split(self.vllm_flags)}
        except ValueError as error:
            raise ValueError(f"engine.vllm_flags={self.vllm_flags!r} is no command line: {error}.") from None
        if taken := sorted(flags & OWN_FLAGS):
            raise ValueError(f"engine.vllm_flags={self.vllm_flags!r}: {', '.join(taken)} is set by the replica.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverHttp:
    """What the engines have in common whose completions come from a server on this machine. Both need `strop[http]`."""

    most_at_once: ClassVar[int]
    """Requests that may be open at the same time."""
    folder_is: ClassVar[str]
    """What `weights` is, in words."""
    url: str = "http://127.0.0.1:8000/v1"
    weights: str = ""
    request_seconds: float = 120.0
    total_seconds: float = 600.0
    attempts: int = 4
    at_once: int = 32

    def __post_init__(self) -> None:
        check_fields(self)
        check_url("engine.url", self.url)
        if not is_loopback(host_of(self.url)):
            raise ValueError(
                f"engine.url={self.url!r}: the server is on this machine (127.0.0.1, [::1], localhost), since it is "
                "asked in clear text, and who can ask it can change its weights. For another machine open a tunnel: "
                "ssh -L 8000:127.0.0.1:8000 HOST."
            )
        check_positive("engine.request_seconds", self.request_seconds)
        check_positive("engine.total_seconds", self.total_seconds)
        check_at_least("engine.attempts", self.attempts, 1)
        if not 1 <= self.at_once <= self.most_at_once:
            raise ValueError(
                f"engine.at_once={self.at_once}: it is 1 to {self.most_at_once}, since no more requests may wait at "
                "the server."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Http(OverHttp):
    """Episodes are played in the process that learns, and their completions come from `strop serve RUN --weights DIR`,
    which loads the newest weights before each step. Needs `strop[http]`.

    url              of the server's API, on this machine: it is asked in clear text. A tunnel ends here too
    weights          the folder through which the weights go: the DIR of the server, which both can read and write
    request_seconds  a request and its whole answer
    total_seconds    all completions of one turn of a step, with every attempt and wait; what has none by then is FAILED
    attempts         of a request: after 408, 409, 425, 429, 5xx, a broken connection, a time-out or a wrong answer
    at_once          requests that are open at the same time, at most 64: so many may wait there
    """

    most_at_once: ClassVar[int] = MOST_AT_ONCE
    folder_is: ClassVar[str] = "the folder of strop serve RUN --weights DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class VLLM(OverHttp):
    """The same from a vLLM server, in an environment of its own, that was started with the flags which docs/scale.md
    names. It serves Hugging Face's causal language models. Needs `strop[http]`, and no vLLM in this process.

    url              of the server's API, on this machine: whoever can ask it can change its weights. It ends in /v1
    weights          a folder through which the weights go, which vLLM can read under the same path
    request_seconds  a request and its whole answer
    total_seconds    all completions of one turn of a step, with every attempt and wait; what has none by then is FAILED
                     Loading weights may take as long
    attempts         of a request: after 408, 409, 425, 429, 5xx, a broken connection, a time-out or a wrong answer
    at_once          requests that are open at the same time, at most 1024: vLLM batches them
    """

    most_at_once: ClassVar[int] = 1024
    folder_is: ClassVar[str] = "a folder that vLLM can read too"
    at_once: int = 256

    def __post_init__(self) -> None:
        OverHttp.__post_init__(self)
        if not self.url.endswith("/v1"):
            raise ValueError(
                f"engine.url={self.url!r}: it ends in /v1, as http://127.0.0.1:8000/v1 does: weights are published "
                "beside it."
            )

    @property
    def root(self) -> str:
        """The address beside which vLLM publishes, without /v1."""
        return self.url.removesuffix("/v1")


def asks_over_http(engine: Embedded | Ray | OverHttp) -> bool:
    """Whether completions come from a server, which has weights and limits of its own."""
    return isinstance(engine, OverHttp) or is_vllm(engine)


def is_vllm(engine: Embedded | Ray | OverHttp) -> bool:
    """Whether that server is vLLM."""
    return isinstance(engine, VLLM) or (isinstance(engine, Ray) and bool(engine.vllm))
