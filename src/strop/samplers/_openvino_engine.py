"""OpenVINO GenAI's pipeline of many requests, in strop's words: requests in, completions out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from strop.samplers._llama_graph import build
from strop.types import Completion, Tokens

Precision = Literal["float32", "bfloat16"]
KINDS = {"float32": "f32", "bfloat16": "bf16"}
Adapter = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Request:
    """One completion: its prompt, its seed, and where it ends."""

    prompt: Tokens
    max_tokens: int
    seed: int
    is_greedy: bool
    stop: frozenset[int]


def require_processor(precision: Precision) -> None:
    """The package is there, and the processor computes in this precision."""
    if find_spec("openvino_genai") is None:
        raise ModuleNotFoundError('the OpenVINO sampler needs the package openvino-genai: pip install "strop[engine]"')
    if precision == "bfloat16":
        import openvino as ov

        known = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in known:
            raise ValueError(
                f"sampler.precision='bfloat16': this processor computes in {', '.join(known)} only. Set "
                "sampler.precision=float32."
            )


class Engine:
    """A compiled Llama. Its files live in a folder that is gone when this is made."""

    def __init__(
        self,
        config: Any,
        weights: Mapping[str, Tensor],
        inv_freq_d: Tensor,
        temperature: float,
        precision: Precision,
        adapter: Adapter | None,
    ) -> None:
        import openvino as ov
        import openvino_genai as og

        self._ov, self._og, self._vocabulary = ov, og, config.vocab_size
        arrays = {name: tensor.detach().float().contiguous().numpy() for name, tensor in weights.items()}
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": KINDS[precision],
            "KV_CACHE_PRECISION": KINDS[precision],  # 8 bits by default
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        if adapter is not None:
            mode = og.AdapterConfig.Mode.MODE_DYNAMIC
            properties["adapters"] = og.AdapterConfig(self._adapter(adapter), mode)
        with TemporaryDirectory(prefix="strop-openvino-", ignore_cleanup_errors=True) as folder:
            graph = build(config, arrays, inv_freq_d.float().numpy(), temperature)
            ov.save_model(graph, f"{folder}/openvino_model.xml", compress_to_fp16=False)
            scheduler = og.SchedulerConfig()
            # A prompt's keys are kept for later requests; those that an older adapter made must not serve a newer one.
            scheduler.enable_prefix_caching = self._keeps_prompts = adapter is None
            self._pipeline = og.ContinuousBatchingPipeline(folder, scheduler, "CPU", properties)

    def swap(self, adapter: Adapter) -> None:
        """From now on every request uses this adapter.

        Only `generate` sets one (a request that is added by itself has its adapter ignored), so one token is made.
        """
        request = self._settings(Request((0,), 1, 0, True, frozenset()))
        request.adapters = self._og.AdapterConfig(self._adapter(adapter))
        self._pipeline.generate([self._ids((0,))], [request])

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order. Greedy ones are certain: their log-probs are 0.

        Requests that begin together do not share a prompt, but they find one that was read before them.
        """
        if self._keeps_prompts:
            repeated = [prompt for prompt, n in Counter(one.prompt for one in requests).items() if n > 1]
            self._run([Request(prompt, 1, 0, True, frozenset()) for prompt in repeated])
        handles = self._run(requests)
        return [_completion(request, handle.read_all()[0]) for request, handle in zip(requests, handles, strict=True)]

    def _run(self, requests: Sequence[Request]) -> list[Any]:
        """All of them to their end, side by side."""
        handles = [
            self._pipeline.add_request(i, self._ids(one.prompt), self._settings(one)) for i, one in enumerate(requests)
        ]
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        return handles

    def _settings(self, request: Request) -> Any:
        settings = self._og.GenerationConfig()
        settings.max_new_tokens = request.max_tokens
        settings.do_sample = not request.is_greedy
        settings.rng_seed = request.seed
        settings.logprobs = 1
        # It insists on a token that ends; where there is none, the id behind the last is never drawn.
        ends = set(request.stop) or {self._vocabulary}
        settings.set_eos_token_id(min(ends))
        settings.stop_token_ids = ends
        return settings

    def _ids(self, tokens: Tokens) -> Any:
        return self._ov.Tensor(np.array([tokens], dtype=np.int64))

    def _adapter(self, adapter: Adapter) -> Any:
        tensors: dict[str, Tensor] = {}
        for name, (down_RI, up_OR) in adapter.items():
            tensors[f"base_model.model.{name}.lora_A.weight"] = down_RI.detach().contiguous()
            tensors[f"base_model.model.{name}.lora_B.weight"] = up_OR.detach().contiguous()
        return self._og.Adapter(self._ov.Tensor(np.frombuffer(save(tensors), dtype=np.uint8).copy()))


def _completion(request: Request, output: Any) -> Completion:
    tokens = tuple(output.generated_ids)
    logprobs = (0.0,) * len(tokens) if request.is_greedy else tuple(min(x, 0.0) for x in output.generated_log_probs)
    return Completion(tokens, logprobs, "stop" if tokens[-1] in request.stop else "length")
