"""vLLM's HTTP API in a thread, in the shapes of vLLM 0.32: it loads Hugging Face folders, samples, and can fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from safetensors.torch import load_file

import strop
from judge_server import Body, Server, sends, serving
from strop.samplers.local import LocalSampler
from strop.streams import stream

FRESH = "default"
"""What vLLM calls the weights that it was started with."""


class FakeVLLM:
    """Serves the model of a policy's config with weights of its own.

    asked    the paths of all requests but those for completions, in order
    answers  what it said
    fails    paths that answer with 500, after which it is gone for good, as vLLM's engine is
    change   is called with each answer and its choice, which it may change
    """

    def __init__(self, config: strop.TrainConfig) -> None:
        resolved = config.resolve()
        assert resolved.dtype is not None
        assert not isinstance(resolved.policy, str)
        self.policy, self.codec = resolved.policy.build(seed=99, dtype=resolved.dtype, device="cpu")
        self.version, self.is_paused, self.is_gone = FRESH, False, False
        self.model = {"model": "", "dtype": "torch.float32", "logprobs_mode": "processed_logprobs"}
        self.asked, self.answers, self.fails = list[str](), list[Body](), set[str]()
        self.closed: dict[str, int] = {}
        self.change: Callable[[Body, Body], object] = lambda answer, choice: None

    def act(self, server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
        """Answer a request, whichever it is."""
        path = handler.path
        with server.lock:
            if self.is_gone:
                handler.connection.close()
                return
            if path.partition("?")[0] in self.closed:
                sends(b'{"detail": "closed"}', self.closed[path.partition("?")[0]])(server, handler, body)
                return
            if path in self.fails:
                self.is_gone = True
                sends(b'{"error": {"message": "EngineCore encountered an issue."}}', 500)(server, handler, body)
                return
            said = self._generated(body) if path == "/inference/v1/generate" else self._done(path, body)
        sends(json.dumps(said).encode())(server, handler, body)

    def _done(self, path: str, body: Body) -> Body:
        self.asked.append(path)
        if path == "/collective_rpc":
            assert self.is_paused, "vLLM would go on with what it remembers of prompts"
            assert body["method"] == "reload_weights"
            self._load(Path(body["kwargs"]["weights_path"]))
        if path == "/update_weight_version":
            self.version = body["new_version"]
        if path.startswith("/pause") or path == "/resume":
            self.is_paused = path != "/resume"
        return {"vllm_config": {"model_config": self.model}, "weight_version": self.version}

    def _load(self, folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        self.policy.model.load_state_dict(weights, strict=False)
        self.policy.model.tie_weights()

    def _generated(self, body: Body) -> Body:
        asks = body["sampling_params"]
        assert asks["ignore_eos"]
        assert asks["stop_token_ids"] == sorted(self.codec.stop)
        sampling = strop.Sampling(temperature=asks["temperature"], max_tokens=asks["max_tokens"])
        sampler = LocalSampler(self.policy, self.codec.stop)
        (drawn,) = sampler.sample([tuple(body["token_ids"])], sampling, [stream(asks["seed"], "answer")])
        assert drawn.logprobs is not None
        content = [{"token_id": t, "logprob": x} for t, x in zip(drawn.tokens, drawn.logprobs, strict=True)]
        choice = {
            "index": 0,
            "finish_reason": drawn.finish,
            "token_ids": list(drawn.tokens),
            "weight_versions": [{"version": self.version, "start": 0, "end": len(drawn.tokens)}],
            "logprobs": {"content": content},
        }
        usage = {"completion_tokens": len(drawn.tokens)}
        answer: Body = {"prompt_token_ids": body["token_ids"], "usage": usage, "choices": [choice]}
        if asks["max_tokens"] > 1:
            self.change(answer, choice)
        self.answers.append(answer)
        return answer


@contextmanager
def answering(engine: FakeVLLM, folder: Path, **fields: object) -> Iterator[strop.scale.VLLM]:
    """Its server, as the settings of a run."""
    with serving(engine.act) as server:
        usual = {"request_seconds": 20.0, "total_seconds": 60.0, "attempts": 2}
        yield strop.scale.VLLM(**{"url": server.url, "weights": str(folder), **usual, **fields})
