"""Weights that a learner publishes: they are loaded beside those that answer, and every answer says which it came from.

What was asked before ends on the weights with which it began. So two copies of the policy are in memory, and while some
are loaded, the file and its tensors too.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, Request

from strop.scale.weight_files import make_key, read
from strop.serving.actor import Actor
from strop.serving.engine import Engine
from strop.serving.running import told
from strop.web.errors import Refused
from strop.web.forms import Json
from strop.web.requests import WeightsRequest
from strop.web.served import Served, Version


class Weights:
    """The files of one folder, and who loads them. `make` gives a policy of the kind that is served, with any weights;
    the key in the folder opens it."""

    def __init__(self, served: Served, folder: Path, make: Callable[[], Actor]) -> None:
        self._served, self._folder, self._make = served, folder, make
        self._key = make_key(folder)
        self._alone = threading.Lock()
        self._leaving: Engine | None = None

    def check(self, authorization: str) -> None:
        """Raise Refused for another key than that of the folder."""
        kind, _, secret = authorization.partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(secret.strip().encode(), self._key.encode()):
            needs = "send Authorization: Bearer KEY, with the key that stands in the folder of --weights."
            raise Refused(needs, status=401, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})

    def load(self, sha256: str) -> Version:
        """Answer with these from now on. Raises Refused for weights that are missing, damaged or of another policy, and
        while the weights before the last still answer; then those go on that answered before."""
        with self._alone:
            before = self._served.serves
            if before.weights == sha256:
                return before
            actor = self._spare()
            try:
                actor.policy.load_state_dict(read(self._folder, sha256))
            except Exception as error:  # the boundary to a file: whatever is in it must not end the server
                reason = str(error) if isinstance(error, ValueError) else told(error)
                raise Refused(f"these weights are not loaded: {reason}", status=422, code="weights_refused") from error
            now = Version(before.name, Engine(actor), weights=sha256)
            self._served.change([now])
            before.engine.retire()
            self._leaving = before.engine
            return now

    def _spare(self) -> Actor:
        """A policy that answers nobody any more: a third one would be too much for the memory. Raises Refused where
        one still answers when it should long be over."""
        if self._leaving is None:
            return self._make()
        if not self._leaving.has_ended_within(self._served.limits.answer_seconds):
            told = "the weights before the last still answer, and a third copy is not made: ask again later."
            raise Refused(told, status=503, code="busy")
        leaving, self._leaving = self._leaving, None
        return leaving.actor


def weights(served: Served) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.post("/v1/weights")
    async def load(body: WeightsRequest, request: Request) -> Json:
        if served.weights is None:
            needs = "this server loads no weights: start it with strop serve RUN --weights DIR."
            raise Refused(needs, status=404, code="no_weights")
        served.weights.check(request.headers.get("authorization", ""))
        loaded = await asyncio.to_thread(served.weights.load, body.sha256)
        return {"model": loaded.name, "version": loaded.label}

    return router
