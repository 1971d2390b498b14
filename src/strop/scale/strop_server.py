"""`strop serve RUN --weights DIR` as a server that samples for a learner."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from strop.endpoint.address import without
from strop.endpoint.aside import run_aside
from strop.endpoint.fields import sampling_fields
from strop.endpoint.request import Failed, client_of, received
from strop.scale.engines import Http
from strop.scale.http_answer import Answer, completion_of, counted_in, object_in, only_choice, within
from strop.scale.server import Published, attempted_as, opened
from strop.scale.weight_files import key_in, remove_others, write
from strop.types import Codec, Completion, Policy, Sampling, Stopped, Tokens


class StropServer:
    """The server of a run with the same policy. It is asked by the completions API."""

    path = "/completions"

    def __init__(self, settings: Http, codec: Codec) -> None:
        self.settings, self.base, self._codec = settings, settings.url, codec

    def publish(self, policy: Policy) -> Published:
        """Write the weights, and have the server load them. Raises Stopped where it does not, within `total_seconds`;
        ValueError where there is no such server."""
        folder = Path(self.settings.weights).expanduser()
        key, sha256 = key_in(folder), write(folder, policy)
        try:
            model = run_aside(self._publish(key, sha256))
        except Failed as failed:
            reason = without(key, failed.reason)
            raise Stopped(
                f"the engine at {self.settings.url} did not load weights from {folder}: {reason}. Is it the server "
                f"that was started by strop serve RUN --weights {folder}, of a run with the same policy?"
            ) from None
        remove_others(folder, sha256)
        return Published(model, sha256, self._codec.stop, policy.vocabulary)

    def body(self, published: Published, prompt: Tokens, sampling: Sampling, seed: int) -> dict[str, Any]:
        """A request of the completions API, with token ids and log-probs."""
        asks = {"model": published.model, "prompt": list(prompt), "seed": seed}
        return {**asks, **sampling_fields(sampling), "logprobs": 0, "return_token_ids": True, "stream": False}

    def completion(self, answer: bytes, published: Published, prompt: Tokens, sampling: Sampling) -> Completion:
        """The completion in an answer, which says itself of which weights it is."""
        record = object_in(answer)
        choice = only_choice(record)
        told = Answer(
            version=record.get("version"),
            prompt=choice.get("prompt_token_ids"),
            tokens=choice.get("token_ids"),
            logprobs=within(choice.get("logprobs"), "token_logprobs"),
            counted=counted_in(record),
            finish=choice.get("finish_reason"),
        )
        return completion_of(told, published, prompt, sampling)

    def require(self, published: Published) -> None:
        """Nothing: it can be started again in the middle of a step, and gets its weights at the next one."""

    async def _publish(self, key: str, sha256: str) -> str:
        """What the server calls the model, once it has these weights."""
        seconds = self.settings.request_seconds
        async with client_of(self.base, key) as client:

            async def attempt() -> str:
                return _model(await received(opened(client, "/weights", seconds, {"sha256": sha256}), seconds), sha256)

            return await attempted_as(self.settings, attempt, asyncio.Semaphore(1))


def _model(body: bytes, sha256: str) -> str:
    """What a server calls the model that has these weights, from its answer. Raises Failed for any other."""
    told = object_in(body)
    if told.get("version") != sha256 or not isinstance(told.get("model"), str):
        raise Failed(f"it says {body[:80]!r}, and is to load {sha256}")
    return str(told["model"])
