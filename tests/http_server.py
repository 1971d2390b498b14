"""`strop serve RUN --weights DIR` in a thread: a real server of a config's policy, which keeps what it answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import served
import strop
from strop.serving.actor import Actor
from strop.web import forms
from strop.web.guard import Limits
from strop.web.weights import Weights


@dataclass
class Listening:
    """Its settings for a run, and the bodies of all completions that it gave."""

    engine: strop.scale.Http
    answers: list[dict[str, Any]] = field(default_factory=list)


def actor_of(config: strop.TrainConfig) -> Actor:
    """The policy of a config with weights that are not the learner's."""
    resolved = config.resolve()
    assert resolved.dtype is not None
    assert not isinstance(resolved.policy, str)
    policy, codec = resolved.policy.build(seed=99, dtype=resolved.dtype, device="cpu")
    return Actor(policy, codec, strop.Sampling(max_tokens=resolved.sampling.max_tokens), "tiny")


@contextmanager
def learning(config: strop.TrainConfig, folder: Path, monkeypatch: Any) -> Iterator[Listening]:
    """A server that loads weights from `folder`."""
    limits, whole = Limits(rate=100_000, burst=100_000), forms.Envelope.whole
    with served.served(actor_of(config), limits=limits) as what, served.listened(what) as address:
        what.weights = Weights(what, folder, lambda: actor_of(config))
        listening = Listening(strop.scale.Http(url=f"{address}/v1", weights=str(folder)))

        def kept(envelope: Any, given: Any) -> Any:
            body = whole(envelope, given)
            listening.answers.append(json.loads(json.dumps(body)))
            return body

        monkeypatch.setattr(forms.Envelope, "whole", kept)
        yield listening
        what.engine.close(timeout=5.0)
