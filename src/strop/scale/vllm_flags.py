"""How a vLLM server is started for a learner, and what one that was started in another way lacks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from strop.endpoint.request import Failed
from strop.scale.engines import VLLM
from strop.scale.http_answer import within

FLAGS = "--skip-tokenizer-init --enable-scale-out --logprobs-mode processed_logprobs"
"""No tokenizer, since tokens go in and come out; and log-probs of the distribution that is drawn from."""
DEV_MODE = "VLLM_SERVER_DEV_MODE=1"
"""The environment variable with which vLLM opens what loads weights, to everybody who can ask it."""
LACKS = {
    403: "--enable-scale-out is missing",
    404: f"{DEV_MODE} is missing in its environment, or it is no vLLM of at least 0.32",
}
"""What a server was started without that answers with this status of HTTP."""


def arguments(settings: VLLM, dtype: str, model: Path) -> list[str]:
    """The arguments of `vllm` that start the server of these settings from a model's folder, for a learner that
    computes in `dtype`."""
    port = urlsplit(settings.url).port or 80
    return ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--dtype", dtype, *FLAGS.split()]


def started_as(settings: VLLM, dtype: str, model: Path) -> str:
    """The same as a command for people."""
    return f"{DEV_MODE} vllm {shlex.join(arguments(settings, dtype, model))}"


def lacking(status: int) -> str:
    """What a status of HTTP says of how the server was started, to be put behind it; empty if nothing."""
    return f": {LACKS[status]}" if status in LACKS else ""


def refuse_wrong_server(info: Mapping[str, Any], dtype: str) -> None:
    """Raise Failed for a server that does not sample as the learner computes, from what it says of itself
    (`server_info`). Whether its model is that of the policy shows when it loads the weights, and in their gap."""
    has = within(info.get("vllm_config"), "model_config")
    mode, kind = within(has, "logprobs_mode"), str(within(has, "dtype")).removeprefix("torch.")
    if mode != "processed_logprobs":
        raise Failed(
            f"its log-probs are {mode}, not those of the distribution that is drawn from: --logprobs-mode "
            "processed_logprobs is missing"
        )
    if kind != dtype:
        raise Failed(f"it computes in {kind}, and the learner in {dtype}: --dtype {dtype} is missing")
