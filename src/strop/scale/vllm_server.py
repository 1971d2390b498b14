"""A vLLM server, in an environment of its own, that samples for a learner: it is asked by vLLM's own HTTP API alone.

Weights are loaded in place, while the server is paused, which also forgets what it remembers of prompts. vLLM ends
where loading fails, so the file is checked before it is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from strop.endpoint.aside import run_aside
from strop.endpoint.fields import sampling_fields
from strop.endpoint.request import Failed, client_of, received
from strop.functional.distributions import probs_of
from strop.policies.transformer import Transformer
from strop.runs.guards import GapTolerance
from strop.scale.engines import VLLM
from strop.scale.http_answer import Answer, completion_of, counted_in, object_in, only_choice, within
from strop.scale.server import Published, attempted_as, opened
from strop.scale.vllm_flags import lacking, refuse_wrong_server, started_as
from strop.scale.weight_files import remove_other_folders, whole_folder, write_folder
from strop.scale.weights import WeightsRefused
from strop.types import Codec, Completion, Policy, Sampling, Stopped, Tokens

if TYPE_CHECKING:
    from openai import AsyncOpenAI

LOADING = "/collective_rpc"
INFO = "/server_info?config_format=json"
PROBE, PROBES = Sampling(max_tokens=1), 8
"""What is asked once weights were loaded, behind so many tokens: that the server samples with them is seen before
anything is played."""


class VLLMServer:
    """It is asked token in, token out. `dtype` is the number type that the learner computes in."""

    path = "/inference/v1/generate"

    def __init__(self, settings: VLLM, codec: Codec, dtype: str) -> None:
        self.settings, self.base, self._codec, self._dtype = settings, settings.root, codec, dtype
        self._folder = Path(settings.weights).expanduser().resolve()

    def publish(self, policy: Policy) -> Published:
        """Write the weights, and have the server load them. Raises Stopped where it does not, within `total_seconds`,
        samples with others, or was not started as it must be."""
        assert isinstance(policy, Transformer), "refused when the run was built"
        sha256 = write_folder(self._folder, policy.write_weights)
        published = Published("", sha256, self._codec.stop, policy.vocabulary)
        self._done(self._publish(published, policy), published)
        remove_other_folders(self._folder, sha256)
        return published

    def body(self, published: Published, prompt: Tokens, sampling: Sampling, seed: int) -> dict[str, Any]:
        """A request with token ids and all that shapes the distribution, so that no default of the model's folder or of
        the server does. The end-of-text token of the model's own is one of ours, or none."""
        asks = {
            **sampling_fields(sampling),
            "seed": seed,
            "ignore_eos": True,
            "stop_token_ids": sorted(published.stop),
            "logprobs": 0,
            "detokenize": False,
        }
        return {"token_ids": list(prompt), "sampling_params": asks, "return_token_ids": True, "stream": False}

    def completion(self, answer: bytes, published: Published, prompt: Tokens, sampling: Sampling) -> Completion:
        """The completion in an answer, which says of each token with which weights it was sampled."""
        record = object_in(answer)
        choice = only_choice(record)
        told = Answer(
            version=_version(choice),
            prompt=record.get("prompt_token_ids"),
            tokens=choice.get("token_ids"),
            logprobs=_logprobs(choice),
            counted=counted_in(record),
            finish=choice.get("finish_reason"),
        )
        found = completion_of(told, published, prompt, sampling)
        # the likeliest token has probability 1 at temperature 0, where vLLM gives its log-prob at temperature 1
        return found if sampling.temperature else Completion(found.tokens, (0.0,) * len(found.tokens), found.finish)

    def require(self, published: Published) -> None:
        """Raise Stopped if it is gone, or has other weights by now: vLLM does not come back by itself."""
        self._done(self._require(published), published)

    # ------------------------------------------------------------ requests

    def lost(self, reason: str, published: Published) -> Exception:
        """What is raised where the server is of no use any more: whoever started it starts it again."""
        start = started_as(self.settings, self._dtype, self._folder / published.version)
        return Stopped(
            f"{reason}. Start it on this machine, in an environment of its own: {start} and go on with --resume"
        )

    def _done(self, work: Coroutine[Any, Any, None], published: Published) -> None:
        try:
            run_aside(work)
        except WeightsRefused as refused:
            raise Stopped(f"the vLLM server at {self.settings.url} is not told to load weights: {refused}") from None
        except Failed as failed:
            reason = f"the vLLM server at {self.settings.url}: {failed.reason}{lacking(failed.status)}"
            raise self.lost(reason, published) from None

    def require_right(self, info: Mapping[str, Any]) -> None:
        """Raise Failed for a server that was not started as it must be, from what it says of itself."""
        refuse_wrong_server(info, self._dtype)

    async def _publish(self, published: Published, policy: Transformer) -> None:
        async with client_of(self.base, "") as client:
            self.require_right(await self._asked(client, INFO))
            await self._told(client, "/pause?mode=abort", {})
            await self._load(client, whole_folder(self._folder, published.version))
            await self._told(client, "/update_weight_version", {"new_version": published.version})
            await self._told(client, "/resume", {})
            prompts = [(i * published.vocabulary // PROBES,) for i in range(PROBES)]
            told = [await self._told(client, self.path, self.body(published, one, PROBE, seed=0)) for one in prompts]
        found = [self.completion(one, published, at, PROBE) for one, at in zip(told, prompts, strict=True)]
        self._require_same(policy, prompts, found)

    def _require_same(self, policy: Transformer, prompts: Sequence[Tokens], found: Sequence[Completion]) -> None:
        """Raise Failed where its log-probs are not the policy's: it said that it loaded the weights, and did not."""
        with torch.inference_mode():
            logits_PV, _ = policy.prefill(prompts)
            own_PV = probs_of(logits_PV, PROBE).log()
        told = [(one.tokens[0], one.logprobs or ()) for one in found]
        gap = (
            sum(abs(logp - float(own_V[token])) for own_V, (token, (logp,)) in zip(own_PV, told, strict=True)) / PROBES
        )
        allowed = GapTolerance.of_engine(self._dtype, None, always=True)
        assert allowed.mean is not None
        if not gap <= allowed.mean + allowed.scatter(PROBES):
            raise Failed(
                f"it says that it has loaded the weights, and its log-probs are {gap:.2g} nats from the policy's: it "
                "samples with others"
            )

    async def _load(self, client: AsyncOpenAI, weights: Path) -> None:
        asks = {"method": "reload_weights", "kwargs": {"weights_path": str(weights)}}
        try:
            await self._told(client, LOADING, asks)
        except Failed as failed:
            raise Failed(
                f"it did not load the weights ({failed.reason}), and vLLM ends where that fails: its log says why. It "
                "may have another model, or be unable to read the folder"
            ) from None

    async def _require(self, published: Published) -> None:
        async with client_of(self.base, "") as client:
            version = (await self._asked(client, "/weight_info")).get("weight_version")
        if version != published.version:
            raise Failed(
                f"it has the weights {version!r}, and {published.version!r} were published: it was started again, or "
                "somebody else publishes there"
            )

    async def _asked(self, client: AsyncOpenAI, path: str) -> dict[str, Any]:
        seconds = self.settings.request_seconds

        async def attempt() -> dict[str, Any]:
            return object_in(await received(opened(client, path, seconds), seconds))

        return await attempted_as(self.settings, attempt, asyncio.Semaphore(1))

    async def _told(self, client: AsyncOpenAI, path: str, body: Mapping[str, Any]) -> bytes:
        """Once: what fails here is not to be done again to a server that may be ending. Large weights take their time,
        and so does the first request after vLLM's start; all else is quick."""
        is_slow = path in (LOADING, self.path)
        seconds = self.settings.total_seconds if is_slow else self.settings.request_seconds
        return await received(opened(client, path, seconds, body), seconds)


def _version(choice: Mapping[str, Any]) -> object:
    """The weights with which all tokens of an answer were sampled; several are none that were ever published."""
    spans = choice.get("weight_versions")
    versions = [within(span, "version") for span in spans] if isinstance(spans, list) else []
    return versions[0] if len(versions) == 1 else versions


def _logprobs(choice: Mapping[str, Any]) -> object:
    """Those of the sampled tokens; None where they are of other tokens."""
    content, tokens = within(choice.get("logprobs"), "content"), choice.get("token_ids")
    if not isinstance(content, list) or [within(one, "token_id") for one in content] != tokens:
        return None
    return [within(one, "logprob") for one in content]
