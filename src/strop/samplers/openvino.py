"""OpenVINO GenAI as the sampler: an engine made for the processor, with a copy of the policy's weights.

It computes in other kernels than the policy, so the log-probs that it records differ a little from the policy's: a
run measures that gap at every step, and its algorithm corrects for it (`functional.corrections`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from strop.functional.distributions import gather, logprobs_of
from strop.policies.adapters import adapter_tensors, base_state_dict, stirred
from strop.policies.transformer import Transformer, require_transformer
from strop.samplers._llama_graph import require_llama
from strop.samplers._openvino_engine import Engine, Precision, Request, require_processor
from strop.types import Codec, Completion, Policy, SamplerConfig, Sampling, Tokens, check_fields

if TYPE_CHECKING:
    import numpy as np

BOUND = {"float32": 0.01, "bfloat16": 0.2}
"""What kernels may differ by, in mean nats a token, when the engine starts; other weights differ by far more."""


class OpenVINO:
    """Every completion is a request with a seed of its own, and prompts of all lengths run side by side.

    All weights: each publish compiles the graph anew. An adapter: each publish swaps it, in hundredths of a second. A
    new temperature compiles anew too, because it is folded into the weights: the engine reports the log-probs of the
    untempered distribution, and so they are those of the distribution that it drew from. `stop` tokens end a completion
    and belong to it.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(SamplerConfig):
        """Its options.

        precision  of the engine: float32, or bfloat16 where the processor has it; none takes the policy's own
        """

        shares_weights: ClassVar[bool] = False
        precision: Precision | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            if self.precision is not None and self.precision not in BOUND:
                raise ValueError(f"sampler.precision={self.precision!r}: allowed are {', '.join(BOUND)}, and none.")

        def build(self, policy: Policy, codec: Codec) -> OpenVINO:
            """Raises ModuleNotFoundError without the package, ValueError for a policy that it cannot run."""
            return OpenVINO(policy, codec.stop, self.precision)

    def __init__(self, policy: Policy, stop: frozenset[int], precision: Precision | None = None) -> None:
        self.policy, self.stop = _require_llama(policy), stop
        self.precision: Precision = precision or ("bfloat16" if self.policy.dtype == "bfloat16" else "float32")
        require_processor(self.precision)
        self._engine: Engine | None = None
        self._temperature = 1.0
        self._is_stale, self._is_checked = True, False

    def publish(self, policy: Policy) -> None:
        """The next completions are drawn from this policy as it stands then."""
        self.policy, self._is_stale = _require_llama(policy), True

    def sample(
        self, prompts: Sequence[Tokens], sampling: Sampling, rngs: Sequence[np.random.Generator]
    ) -> list[Completion]:
        """One completion a prompt, at most `sampling.max_tokens` long; completion i takes its seed from `rngs[i]`.

        Raises ValueError for epsilon, top_p and top_k, whose log-probs the engine does not report.
        """
        _refuse(sampling)
        is_greedy = sampling.temperature == 0.0
        # The largest logit is the largest at every temperature, so greedy completions compile nothing anew.
        engine = self._ready(self._temperature if is_greedy else _number(sampling.temperature))
        requests = [
            Request(prompt, sampling.max_tokens, int(rng.integers(2**32)), is_greedy, self.stop)
            for prompt, rng in zip(prompts, rngs, strict=True)
        ]
        return engine.complete(requests)

    def _ready(self, temperature: float) -> Engine:
        """The engine at this temperature, with the published weights."""
        is_old = self._is_stale and not self.policy.has_adapter
        if self._engine is None or temperature != self._temperature or is_old:
            self._engine = None  # its memory is free before the next one asks for as much
            self._engine, self._temperature, self._is_stale = self._compiled(temperature), temperature, True
        if not self._is_checked:
            self._check(self._engine)
            self._is_checked = True
        if self._is_stale and self.policy.has_adapter:
            self._engine.swap(adapter_tensors(self.policy.model))
        self._is_stale = False
        return self._engine

    def _compiled(self, temperature: float) -> Engine:
        model = self.policy.model
        inv_freq_d = model.base_model.rotary_emb.inv_freq
        adapter = adapter_tensors(model) if self.policy.has_adapter else None
        return Engine(model.config, base_state_dict(model), inv_freq_d, temperature, self.precision, adapter)

    def _check(self, engine: Engine) -> None:
        """Compare a few log-probs with the policy's own: under an adapter that does something, since a new one is 0.

        An engine that does not know a matrix ignores its adapter without a word.
        """
        sampling = Sampling(temperature=self._temperature, max_tokens=4)
        prompt = tuple(i * 31 % self.policy.vocabulary for i in range(1, 5))
        with stirred(self.policy.model):
            if self.policy.has_adapter:
                engine.swap(adapter_tensors(self.policy.model))
            requests = [Request(prompt, sampling.max_tokens, seed, False, frozenset()) for seed in range(2)]
            completions = engine.complete(requests)
            gaps = [gap for one in completions for gap in _gaps(self.policy, prompt, one, sampling)]
        gap, bound = sum(gaps) / len(gaps), self._bound
        if not gap <= bound:
            raise RuntimeError(
                f"OpenVINO's log-probs lie {gap:.3g} nats a token from the policy's own, and at most {bound:.3g} is "
                "rounding: it computes another model. Sample with strop.samplers.LocalSampler.Config(), and report "
                "this model and the version of openvino-genai."
            )

    @property
    def _bound(self) -> float:
        coarse = "bfloat16" if "bfloat16" in (self.precision, self.policy.dtype) else "float32"
        return BOUND[coarse] * max(1.0, 1.0 / self._temperature)


def _gaps(policy: Policy, prompt: Tokens, completion: Completion, sampling: Sampling) -> list[float]:
    """How far each recorded log-prob lies from the policy's, in nats."""
    assert completion.logprobs is not None
    logits_TV, _ = policy.prefill([prompt + completion.tokens[:t] for t in range(len(completion.tokens))])
    own_T = gather(logprobs_of(logits_TV, sampling), torch.tensor(completion.tokens))
    return (own_T.double() - torch.tensor(completion.logprobs)).abs().tolist()


def _require_llama(policy: Policy) -> Transformer:
    transformer = require_transformer(policy, "OpenVINO")
    require_llama(transformer.model.config)
    return transformer


def _refuse(sampling: Sampling) -> None:
    for name, off in (("epsilon", 0.0), ("top_p", 1.0), ("top_k", 0)):
        if (given := getattr(sampling, name)) != off:
            raise ValueError(
                f"sampling.{name}={given}: OpenVINO does not report the log-probs of that distribution. Set "
                f"sampling.{name}={off:g}, or sample with strop.samplers.LocalSampler.Config()."
            )


def _number(temperature: object) -> float:
    assert isinstance(temperature, float | int)  # the engine resolves schedules
    return float(temperature)
