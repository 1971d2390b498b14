"""Baselines played on held-out tasks: the same environment, dice and scores as in the policy's judgement.

They see texts, so no model is loaded. What each did on each task is kept in the run, for a comparison task by task.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from strop.baselines._naming import named_baselines
from strop.codec import ByteCodec
from strop.evaluate import gold_of, rewards_of
from strop.rollout.play import Scene, play
from strop.rollout.rewards import score
from strop.streams import stream
from strop.types import (
    Baseline,
    Choices,
    Completion,
    Env,
    Environment,
    Episode,
    Fits,
    Observation,
    Prompt,
    Sampling,
    Step,
    Task,
    Tokens,
    shown,
    storable,
)

if TYPE_CHECKING:
    import numpy as np

    from strop.config import TrainConfig

FILE = "baselines.jsonl"
"""Where a run keeps what its baselines did."""
LONGEST = 1_000_000
"""Bytes of a text: what a baseline writes is not cut."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a baseline did on a held-out task. `reward` and `gold` are None where it is Unscored, or has no gold."""

    baseline: str
    task: str
    reward: float | None
    gold: float | None
    text: str


def to_lines(attempts: Sequence[Attempt]) -> str:
    """The attempts as JSON, one a line."""
    return "".join(storable(json.dumps(dataclasses.asdict(one), ensure_ascii=False)) + "\n" for one in attempts)


def from_lines(text: str) -> list[Attempt]:
    """The attempts that `to_lines` wrote."""
    return [Attempt(**json.loads(line)) for line in text.split("\n") if line]


def attempts_of(config: TrainConfig, tell: Callable[[str], None] = lambda text: None) -> list[Attempt]:
    """Play every baseline of a resolved config on its held-out tasks. Raises ValueError for one that cannot act."""
    policy: Any = AnyLength()
    codec: Any = ByteCodec()
    scene, sampling = config.scene(policy, codec, gold=True), replace(config.sampling.at(0), max_tokens=LONGEST)
    found = list[Attempt]()
    for name, given in named_baselines(config.baselines).items():
        tell(f"baseline {name}: playing {len(config.held_out)} held-out tasks")
        one = given.fit(list(config.tasks)) if isinstance(given, Fits) else given
        episodes = list(_played(scene, config.held_out, one, name, sampling))
        scored = score(scene.rewards, [[episode] for episode in episodes], scene.reward_seconds)
        found += _attempts(name, scored, config.gold_weights)
    return found


def _attempts(name: str, episodes: Sequence[Episode], gold: dict[str, float]) -> Iterator[Attempt]:
    golds = gold_of(episodes, gold) if gold else [math.nan] * len(episodes)
    for episode, reward, of_gold in zip(episodes, rewards_of(episodes), golds, strict=True):
        yield Attempt(name, episode.task.id, _known(reward), _known(of_gold), episode.text)


def _known(number: float) -> float | None:
    return None if math.isnan(number) else float(number)


def _played(
    scene: Scene, tasks: Sequence[Task], baseline: Baseline, name: str, sampling: Sampling
) -> Iterator[Episode]:
    """An episode of each task, not scored yet, with the environment's dice of the policy's episode."""
    for number, task in enumerate(tasks):
        asked = _Asked(
            baseline, f"baseline {name}, task {task.id}", task, stream(scene.seed, f"baseline/{name}", number)
        )
        alone = replace(scene, environment=asked.listening(scene.environment), rewards={})
        sampler: Any = _Sampler(asked)
        yield from play(alone, [task], 1, sampler, sampling, "evaluate", 0, played=number, slots=len(tasks))


class _Asked:
    """A baseline in one episode: it hears what the environment says, and is asked for an action."""

    def __init__(self, baseline: Baseline, place: str, task: Task, rng: np.random.Generator) -> None:
        self.baseline, self.place, self.task, self.rng = baseline, place, task, rng
        self.said, self.turns = "", -1

    def listening(self, environment: Environment) -> Environment:
        """The environment, whose words reach this baseline."""
        return lambda task, rng: _Heard(environment(task, rng), self)

    def hear(self, said: Prompt | Step) -> None:
        """Take in what the environment says before an action."""
        prompt = said.text if isinstance(said, Step) else said
        self.said = prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
        self.turns += 1

    def act(self, choices: tuple[str, ...]) -> str:
        """The baseline's action. Raises ValueError for what is no text, or none of the choices."""
        text = self.baseline(self.task, Observation(self.said, choices, self.turns, self.rng))
        if not isinstance(text, str):
            raise ValueError(f"{self.place}: it returned {shown(text)}, and an action is a text.")
        if choices and text not in choices:
            there = ", ".join(map(repr, choices[:8]))
            raise ValueError(f"{self.place}: it returned {shown(text)}, which is none of the choices ({there}).")
        return text


class _Heard:
    """An environment's episode that tells a baseline what it says."""

    def __init__(self, env: Env, asked: _Asked) -> None:
        self.env, self.asked = env, asked

    def start(self) -> Prompt | Step:
        said = self.env.start()
        self.asked.hear(said)
        return said

    def step(self, text: str) -> Step:
        said = self.env.step(text)
        self.asked.hear(said)
        return said

    def close(self) -> None:
        self.env.close()


class _Sampler:
    """A baseline in the place of a sampler, for an episode that is played alone."""

    def __init__(self, asked: _Asked) -> None:
        self.codec, self.asked = ByteCodec(), asked

    def sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None] = (),
    ) -> list[Completion]:
        """The action, as the bytes of its text."""
        (allowed,) = choices or [None]
        texts = {} if allowed is None else {self.codec.decode(one): one for one in allowed.tokens}
        text = self.asked.act(tuple(texts))
        return [Completion(texts[text] if texts else (*self.codec.encode(text), self.codec.end), None, "stop")]


class AnyLength:
    """A stand-in for the policy of a scene, of which only the context is read."""

    context = None
