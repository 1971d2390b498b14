"""The RolloutEngine over HTTP: episodes are played here, and what the policy says in them is sampled by a server.

Each step's weights are published before it, and answers of other weights are refused, so every episode is of the policy
that learns from it. Its log-probs are the server's, and the algorithm corrects for their gap.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from strop.rollout.engine import EmbeddedEngine, InProcess
from strop.scale.http_sampler import HttpSampler
from strop.types import Episode, Policy, TaskSource
from strop.words import plural


class HttpEngine(InProcess):
    """Plays with `player`, whose sampler is `sampler`. The server stays when it ends, with the weights that it has."""

    def __init__(self, player: EmbeddedEngine, sampler: HttpSampler) -> None:
        self._player, self._sampler = player, sampler
        self._measures: dict[str, float] = {}
        self._news = list[str]()

    def publish(self, policy: Policy) -> None:
        """Have the server load the newest weights. Raises Stopped where it does not."""
        begun = time.perf_counter()
        self._sampler.publish(policy)
        self._measures = {"engine/publish_seconds": time.perf_counter() - begun}

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """The episodes of this step, as the embedded engine has them; FAILED where the server gave no answer. Raises
        Stopped where it will give none any more."""
        begun = time.perf_counter()
        episodes = self._player.rollout(tasks, step)
        failures = self._sampler.failures
        if failures:
            self._sampler.require_server()
        self._measures |= {
            "engine/wait_seconds": time.perf_counter() - begun,
            "engine/requests": self._sampler.asked,
            "engine/failed_attempts": len(failures),
        }
        if failures:
            self._news.append(
                f"step {step}: {plural(len(failures), 'attempt')} at {plural(self._sampler.asked, 'request')} to "
                f"{self._sampler.settings.url} came to nothing; the first: {failures[0]}"
            )
        return episodes

    def status(self) -> str:
        """How many answers of the step are there."""
        sampler = self._sampler
        return f"{sampler.answered} of {sampler.asked} answers from {sampler.settings.url}"

    def news(self) -> list[str]:
        """Attempts that came to nothing since it was last asked."""
        told, self._news = self._news, []
        return told

    def measures(self) -> Mapping[str, float]:
        """Where the step's seconds went, requests and failed attempts."""
        return self._measures
