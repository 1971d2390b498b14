"""The server that a config's engine over HTTP means, and the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.policies.encoder_decoder import EncoderDecoder
from strop.policies.transformer import Transformer
from strop.scale.engines import VLLM, Http, OverHttp
from strop.scale.http_engine import HttpEngine
from strop.scale.http_sampler import HttpSampler
from strop.scale.server import Server
from strop.scale.strop_server import StropServer
from strop.scale.vllm_server import VLLMServer
from strop.types import Codec, Policy

if TYPE_CHECKING:
    from strop.config import TrainConfig


def engine_over_http(config: TrainConfig, policy: Policy, codec: Codec) -> HttpEngine:
    """What plays here, with completions of that server. `config` is resolved."""
    assert isinstance(config.engine, OverHttp)
    assert config.dtype is not None
    asking = HttpSampler(server_of(config.engine, policy, codec, config.dtype))
    return HttpEngine(config.played_with(asking, policy, codec), asking)


def server_of(settings: OverHttp, policy: Policy, codec: Codec, dtype: str) -> Server:
    """What is asked. Raises ValueError for a policy that the server cannot have."""
    if isinstance(settings, Http):
        return StropServer(settings, codec)
    assert isinstance(settings, VLLM)
    require_causal(policy)
    return VLLMServer(settings, codec, dtype)


def require_causal(policy: Policy) -> None:
    """Raise ValueError for a policy that vLLM cannot serve."""
    if not isinstance(policy, Transformer) or isinstance(policy, EncoderDecoder):
        raise ValueError(
            "vLLM serves causal language models of Hugging Face, and this policy is none. Take a "
            "Transformer or a Scratch of the shape of one, or another engine."
        )
