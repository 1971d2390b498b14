"""The server that a config's engine over HTTP means."""

from __future__ import annotations

from strop.policies.encoder_decoder import EncoderDecoder
from strop.policies.transformer import Transformer
from strop.scale.engines import VLLM, Http, OverHttp
from strop.scale.server import Server
from strop.scale.strop_server import StropServer
from strop.scale.vllm_server import VLLMServer
from strop.types import Codec, Policy


def server_of(settings: OverHttp, policy: Policy, codec: Codec, dtype: str) -> Server:
    """What is asked. Raises ValueError for a policy that the server cannot have."""
    if isinstance(settings, Http):
        return StropServer(settings, codec)
    assert isinstance(settings, VLLM)
    if not isinstance(policy, Transformer) or isinstance(policy, EncoderDecoder):
        raise ValueError(
            "engine=VLLM: vLLM serves causal language models of Hugging Face, and this policy is none. Take a "
            "Transformer or a Scratch of the shape of one, or engine=http."
        )
    return VLLMServer(settings, codec, dtype)
