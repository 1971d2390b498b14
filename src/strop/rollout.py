"""Environment x Sampler -> episodes, in lock-step: every live episode acts once a round.

Lock-step keeps a round's prompts in one batch for the sampler; the environments of a round run side by side under a
time limit. What a user's environment raises becomes data (End.FAILED with the text), what a user's reward raises
becomes Unscored with the traceback, and a reward that is NaN stops the run.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TypeAlias, TypeVar

from strop.rewards.group import GroupReward
from strop.streams import stream
from strop.types import (
    Codec,
    Completion,
    End,
    Env,
    Environment,
    Episode,
    NonFinite,
    Part,
    PerToken,
    PerTurn,
    Policy,
    RewardFn,
    Sampler,
    Sampling,
    Source,
    Step,
    Task,
    TaskSource,
    Tokens,
    Turn,
    Unscored,
)
from strop.waiting import side_by_side

T = TypeVar("T")
GOLD = "gold/"
"""Names of gold parts begin with this: they are reported beside the reward and never trained on."""
Rewards: TypeAlias = "Mapping[str, tuple[RewardFn | GroupReward, float]]"
"""Each reward's name, function and weight; weight 0 is reported only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where tasks are played: the environment, what judges its episodes, and how text becomes tokens."""

    environment: Environment
    rewards: Rewards
    codec: Codec
    context: int | None
    seed: int
    environment_seconds: float = 60.0


@dataclass(slots=True)
class _Play:
    """One episode while it is played."""

    id: str
    task: Task
    group: int
    seed: tuple[int, ...]
    env: Env | None = None
    prompt: Tokens = ()
    turns: list[Turn] = field(default_factory=list)
    end: End | None = None
    error: str = ""


class EmbeddedEngine:
    """The default RolloutEngine: the sampler shares the policy's weights, so publishing is only counting."""

    def __init__(
        self, scene: Scene, sampler: Sampler, sampling: Sampling, group_size: int, prompts_per_step: int
    ) -> None:
        self.scene, self.sampler, self.sampling = scene, sampler, sampling
        self.group_size, self.prompts_per_step = group_size, prompts_per_step
        self.version = 0

    def publish(self, policy: Policy) -> None:
        """The sampler reads the very tensors that the algorithm changes; nothing is copied."""

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """`prompts_per_step` tasks, `group_size` episodes of each, scored."""
        chosen = tasks.next(self.prompts_per_step)
        return play(self.scene, chosen, self.group_size, self.sampler, self.sampling.at(step), "train", step)


class OfflineEngine:
    """Plays nothing: for algorithms that learn from data."""

    def publish(self, policy: Policy) -> None:
        """Nobody acts."""

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """No episode."""
        return []


def play(
    scene: Scene,
    tasks: Sequence[Task],
    group_size: int,
    sampler: Sampler,
    sampling: Sampling,
    purpose: str,
    step: int,
) -> list[Episode]:
    """Play every task `group_size` times and score the episodes, in order of tasks.

    The randomness of episode i depends on (seed, purpose, step, i) alone. `version` is the step: the policy that acts
    at step k has seen k steps of learning.
    """
    if purpose != "train":
        step_key, version = (
            0,
            step,
        )  # judgements of different steps face the same dice: their difference is the policy's
    else:
        step_key, version = step, step
    plays = [
        _Play(f"{purpose}-{step:06d}-{i:04d}", task, step * len(tasks) + i // group_size, (scene.seed, step_key, i))
        for i, task in enumerate(task for task in tasks for _ in range(group_size))
    ]
    _start(scene, plays, purpose, sampling.max_tokens)
    samples = [stream(scene.seed, f"sample/{purpose}", *play.seed[1:]) for play in plays]
    while live := [i for i, play in enumerate(plays) if play.end is None]:
        prompts = [plays[i].prompt for i in live]
        completions = sampler.sample(prompts, sampling, [samples[i] for i in live])
        _act(scene, [plays[i] for i in live], completions, sampling)
    for one in plays:
        if one.env is not None:
            one.env.close()
    source = Source.GREEDY if sampling.temperature == 0.0 and sampling.epsilon == 0.0 else Source.POLICY
    episodes = [_episode(one, version, source) for one in plays]
    groups = [episodes[i : i + group_size] for i in range(0, len(episodes), group_size)]
    return [scored for group in groups for scored in score(scene.rewards, group)]


def _start(scene: Scene, plays: list[_Play], purpose: str, max_tokens: int) -> None:
    """Make the environments and read their first text. A task that cannot start FAILS its episode."""

    def begin(one: _Play) -> Callable[[], tuple[Env, Tokens]]:
        def call() -> tuple[Env, Tokens]:
            env = scene.environment(one.task, stream(scene.seed, f"environment/{purpose}", *one.seed[1:]))
            return env, scene.codec.start(env.start())

        return call

    results = side_by_side([begin(one) for one in plays], scene.environment_seconds, "the start of the environment")
    for one, result in zip(plays, results, strict=True):
        if isinstance(result, Exception):
            _fail(one, _trace(result))
        else:
            one.env, one.prompt = result
            _check_context(scene, one, max_tokens)


def _act(scene: Scene, plays: list[_Play], completions: list[Completion], sampling: Sampling) -> None:
    """Give each live episode its completion, and take the environment's answer."""
    texts = [scene.codec.decode(completion.tokens) for completion in completions]

    def answer(one: _Play, text: str) -> Callable[[], Step]:
        env = one.env
        assert env is not None
        return lambda: env.step(text)

    calls = [answer(one, text) for one, text in zip(plays, texts, strict=True)]
    results = side_by_side(calls, scene.environment_seconds, "environment.step")
    for one, completion, text, result in zip(plays, completions, texts, results, strict=True):
        if isinstance(result, Exception):
            one.turns.append(Turn(one.prompt, completion, text))
            _fail(one, _trace(result))
            continue
        one.turns.append(Turn(one.prompt, completion, text, result.reward, result.data))
        if not math.isfinite(result.reward):
            raise NonFinite(f"the environment's reward of task {one.task.id}: {result.reward}", text)
        one.end = result.end
        if one.end is not End.TERMINATED:
            one.prompt = scene.codec.extend(one.prompt, completion.tokens, result.text)
        if one.end is None:
            _check_context(scene, one, sampling.max_tokens)


def _check_context(scene: Scene, one: _Play, max_tokens: int) -> None:
    """FAIL the episode whose next completion might not fit into what the policy reads."""
    if scene.context is not None and len(one.prompt) + max_tokens > scene.context:
        _fail(
            one,
            f"the context is full after {len(one.turns)} turns: {len(one.prompt)} tokens stand and {max_tokens} more "
            f"may follow, but the policy reads {scene.context}. Shorten the prompt or lower sampling.max_tokens.",
        )


def _fail(one: _Play, error: str) -> None:
    one.end, one.error = End.FAILED, error


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error)).strip()


def _episode(one: _Play, version: int, source: Source) -> Episode:
    assert one.end is not None
    return Episode(
        id=one.id,
        task=one.task,
        group=one.group,
        turns=tuple(one.turns),
        final=one.prompt if one.end is End.TRUNCATED else (),
        end=one.end,
        error=one.error,
        version=version,
        seed=one.seed,
        source=source,
    )


# ---------------------------------------------------------------- scoring


def score(rewards: Rewards, group: Sequence[Episode]) -> list[Episode]:
    """The group's episodes with a Part for every reward. A FAILED episode is not judged."""
    judged = [i for i, episode in enumerate(group) if episode.end is not End.FAILED]
    parts: list[dict[str, Part]] = [{} for _ in group]
    for name, (reward, weight) in rewards.items():
        episodes = [group[i] for i in judged]
        for i, outcome in zip(judged, _outcomes(name, reward, episodes), strict=True):
            parts[i][name] = _part(name, weight, outcome, group[i])
    return [replace(episode, parts=part) for episode, part in zip(group, parts, strict=True)]


def _outcomes(name: str, reward: RewardFn | GroupReward, episodes: Sequence[Episode]) -> list[object]:
    """What the reward says of each episode; what it raises becomes Unscored with the traceback."""
    if not isinstance(reward, GroupReward):
        return [_guarded(lambda one=episode: reward(one.task, one)) for episode in episodes]  # type: ignore[misc]
    if not episodes:
        return []
    outcome = _guarded(lambda: reward(episodes[0].task, episodes))
    if isinstance(outcome, Unscored):
        return [outcome] * len(episodes)
    return list(outcome)


def _guarded(call: Callable[[], T]) -> T | Unscored:
    try:
        return call()
    except Exception as error:
        return Unscored(_trace(error))


def _part(name: str, weight: float, outcome: object, episode: Episode) -> Part:
    """A reward's outcome as a Part; a wrong type or length is the reward's mistake and says so."""
    if isinstance(outcome, Unscored):
        return Part(weight, outcome)
    if isinstance(outcome, PerTurn | PerToken):
        expected = len(episode.turns) if isinstance(outcome, PerTurn) else episode.num_actions
        numbers = tuple(float(reward) for reward in outcome.rewards)
        if len(numbers) != expected:
            kind = type(outcome).__name__
            raise ValueError(f"reward {name!r} gave {kind} with {len(numbers)} numbers for {expected} of them.")
        total = _finite(name, math.fsum(numbers), episode)
        return Part(weight, total, *((numbers, None) if isinstance(outcome, PerTurn) else (None, numbers)))
    if not isinstance(outcome, Real):
        raise ValueError(
            f"reward {name!r} returned {outcome!r} for task {episode.task.id}: a reward returns a number, "
            "strop.Unscored(reason), strop.PerTurn([...]) or strop.PerToken([...])."
        )
    return Part(weight, _finite(name, float(outcome), episode))


def _finite(name: str, value: float, episode: Episode) -> float:
    if not math.isfinite(value):
        raise NonFinite(
            f"reward {name!r} of task {episode.task.id} is {value}, for the text {episode.text!r}; it", episode
        )
    return value
