"""An engine over HTTP that samples as it should, and does something else where it is told: all ways to be wrong."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeAlias

import strop
from judge_server import Act, Body, Server, drops, sends, serving, stalls
from strop.samplers.local import LocalSampler
from strop.scale.weight_files import make_key, read
from strop.streams import stream

Fault: TypeAlias = "Callable[[Server, BaseHTTPRequestHandler, Body, Body], None]"
"""(server, handler, request, the right answer): what is done in its place."""


END = 4
"""The token that ends a completion of `fleet.config()`."""


class FakeEngine:
    """`faulty(request)` names the fault of a request; "" is none. `answers` are the right ones, in order."""

    def __init__(
        self, config: strop.TrainConfig, folder: Path, faulty: Callable[[Body], str] = lambda body: ""
    ) -> None:
        resolved = config.resolve()
        assert resolved.dtype is not None
        assert not isinstance(resolved.policy, str)
        self.policy, self.codec = resolved.policy.build(seed=99, dtype=resolved.dtype, device="cpu")
        self.folder, self.faulty, self.answers = folder, faulty, list[Body]()
        self.version = ""
        make_key(folder)

    def act(self, server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
        """Answer a request, whichever it is."""
        if handler.path.endswith("/weights"):
            self.policy.load_state_dict(read(self.folder, body["sha256"]))
            self.version = body["sha256"]
            sends(json.dumps({"model": "fake", "version": self.version}).encode())(server, handler, body)
            return
        with server.lock:
            right = self.answer(body)
            self.answers.append(right)
        fault = self.faulty(body)
        (FAULTS[fault] if fault else well)(server, handler, body, right)

    def answer(self, body: Body) -> Body:
        """What the policy says, and that it is the policy."""
        sampling = strop.Sampling(temperature=body["temperature"], max_tokens=body["max_tokens"])
        sampler = LocalSampler(self.policy, self.codec.stop)
        (drawn,) = sampler.sample([tuple(body["prompt"])], sampling, [stream(body["seed"], "answer")])
        assert drawn.logprobs is not None
        choice = {
            "index": 0,
            "text": self.codec.decode(drawn.tokens),
            "prompt_token_ids": body["prompt"],
            "token_ids": list(drawn.tokens),
            "logprobs": {"token_logprobs": list(drawn.logprobs)},
            "finish_reason": drawn.finish,
        }
        return {"version": self.version, "choices": [choice], "usage": {"completion_tokens": len(drawn.tokens)}}


@contextmanager
def answering(engine: FakeEngine) -> Iterator[Server]:
    """Its server."""
    with serving(engine.act) as server:
        yield server


# ------------------------------------------------------------ what goes wrong


def well(server: Server, handler: BaseHTTPRequestHandler, body: Body, right: Body) -> None:
    """Nothing."""
    sends(json.dumps(right).encode())(server, handler, body)


def whatever(act: Act) -> Fault:
    """A fault that does not depend on the answer."""
    return lambda server, handler, body, right: act(server, handler, body)


def changed(change: Callable[[Body, Any], object]) -> Fault:
    """The answer after `change(answer, its choice)`."""

    def fault(server: Server, handler: BaseHTTPRequestHandler, body: Body, right: Body) -> None:
        wrong = json.loads(json.dumps(right))
        change(wrong, wrong["choices"][0])
        well(server, handler, body, wrong)

    return fault


def resets(server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
    """The connection, as a host that is gone does."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def twice_in_a_body(server: Server, handler: BaseHTTPRequestHandler, body: Body, right: Body) -> None:
    """One answer behind the other."""
    sends(2 * json.dumps(right).encode())(server, handler, body)


def truncated(server: Server, handler: BaseHTTPRequestHandler, body: Body, right: Body) -> None:
    """Half of an answer, whose length is told as that of all."""
    sends(json.dumps(right).encode()[:40])(server, handler, body)


def of_other_weights(answer: Body, choice: Body) -> None:
    """Said to come from other weights."""
    answer["version"] = "0" * 64


def one_logprob_less(answer: Body, choice: Body) -> None:
    """A token without a log-prob."""
    choice["logprobs"]["token_logprobs"].pop()


def one_token_more(answer: Body, choice: Body) -> None:
    """A token that nobody counted."""
    choice["token_ids"].append(0)


def goes_on(answer: Body, choice: Body) -> None:
    """Behind the token that ends a completion."""
    choice.update(finish_reason="length", token_ids=[END, 0], logprobs={"token_logprobs": [-1.0, -1.0]})
    answer["usage"]["completion_tokens"] = 2


FAULTS: dict[str, Fault] = {
    "500": whatever(sends(b"{}", status=500)),
    "429": whatever(sends(b"{}", status=429, Retry_After="0")),
    "reset": whatever(resets),
    "dropped": whatever(drops),
    "never": whatever(stalls),
    "twice": twice_in_a_body,
    "two choices": changed(lambda answer, choice: answer["choices"].append(choice)),
    "no choice": changed(lambda answer, choice: answer["choices"].clear()),
    "truncated": truncated,
    "a list": whatever(sends(b"[]")),
    "other weights": changed(of_other_weights),
    "other prompt": changed(lambda answer, choice: choice["prompt_token_ids"].append(0)),
    "one log-prob less": changed(one_logprob_less),
    "one token more": changed(one_token_more),
    "no log-probs": changed(lambda answer, choice: choice.update(logprobs=None)),
    "NaN": changed(lambda answer, choice: choice["logprobs"]["token_logprobs"].__setitem__(0, float("nan"))),
    "infinite": changed(lambda answer, choice: choice["logprobs"]["token_logprobs"].__setitem__(0, float("-inf"))),
    "positive": changed(lambda answer, choice: choice["logprobs"]["token_logprobs"].__setitem__(0, 0.5)),
    "null": changed(lambda answer, choice: choice["logprobs"]["token_logprobs"].__setitem__(0, None)),
    "unknown token": changed(lambda answer, choice: choice["token_ids"].__setitem__(0, 10**6)),
    "no tokens": changed(lambda answer, choice: choice["token_ids"].clear()),
    "miscounted": changed(lambda answer, choice: answer["usage"].update(completion_tokens=99)),
    "cut too early": changed(lambda answer, choice: choice.update(finish_reason="length", token_ids=[0])),
    "digits": changed(lambda answer, choice: choice["logprobs"]["token_logprobs"].__setitem__(0, -(10**400))),
    "goes on": changed(goes_on),
    "too long": whatever(sends(b" " * 1_000_000)),
    "wrong end": changed(lambda answer, choice: choice.update(finish_reason="content_filter")),
}
