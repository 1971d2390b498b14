"""Environment x Sampler -> episodes, in lock-step: every live episode acts once a round.

Lock-step keeps a round's prompts in one batch for the sampler; the environments of a round run side by side under a
time limit. What a user's environment raises becomes data (End.FAILED with the text), what a user's reward raises
becomes Unscored with the traceback, and a reward that is NaN stops the run. An episode that was played to its end and
could not be closed stays as it is, and says so in its `error`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from strop.choices import Choosing
from strop.rewards._naming import Rewards
from strop.rollout.rewards import score, trace
from strop.rollout.waiting import run_concurrently
from strop.streams import stream
from strop.types import (
    Choices,
    Codec,
    Completion,
    End,
    Env,
    Environment,
    Episode,
    NonFinite,
    Sampler,
    Sampling,
    Source,
    Step,
    Task,
    Tokens,
    Turn,
    Unanswered,
    prompt_flaw,
    returned,
)

if TYPE_CHECKING:
    import numpy as np

GOLD = "gold/"
"""Names of gold parts begin with this: they are reported beside the reward and never trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where tasks are played: the environment, what judges its episodes, and how text becomes tokens."""

    environment: Environment
    rewards: Rewards
    codec: Codec
    context: int | None
    seed: int
    environment_seconds: float = 60.0
    reward_seconds: float = 600.0
    no_choices: str = ""  # why whoever samples cannot be told them
    _choosing: dict[object, Choosing] = field(default_factory=dict, init=False, repr=False, compare=False)

    def choosing(self, sampling: Sampling) -> Choosing:
        """What turns this sampling's choices into tokens. It is kept: a text is encoded once, not in every step."""
        key = (sampling.choices, sampling.max_tokens)
        if key not in self._choosing:
            self._choosing[key] = Choosing(self.codec, sampling, self.no_choices)
        return self._choosing[key]


@dataclass(slots=True)
class _Play:
    """One episode while it is played."""

    id: str
    task: Task
    group: int
    seed: tuple[int, ...]
    env: Env | None = None
    prompt: Tokens = ()
    choices: Choices | None = None
    turns: list[Turn] = field(default_factory=list)
    end: End | None = None
    error: str = ""


def play(
    scene: Scene,
    tasks: Sequence[Task],
    group_size: int,
    sampler: Sampler,
    sampling: Sampling,
    purpose: str,
    step: int,
    played: int = 0,
    slots: int | None = None,
) -> list[Episode]:
    """Play every task `group_size` times and score the episodes, in order of tasks.

    The randomness of episode i of a step depends on (seed, purpose, step, i) alone. `played` tasks came before in this
    step, of at most `slots` (by default, these are all). `version` is the step: the policy that acts at step k has seen
    k steps of learning.
    """
    # evaluations of different steps use the same random numbers: their difference is the policy's
    step_key = 0 if purpose == "evaluate" else step
    first_group, first = step * (slots or len(tasks)) + played, played * group_size
    members = [(first_group + g, task) for g, task in enumerate(tasks) for _ in range(group_size)]
    plays = [
        _Play(f"{purpose}-{step:06d}-{i:04d}", task, group, (scene.seed, step_key, i))
        for i, (group, task) in enumerate(members, first)
    ]
    choosing = scene.choosing(sampling)
    _start(scene, plays, purpose, choosing)
    samples = [stream(scene.seed, f"sample/{purpose}", *play.seed[1:]) for play in plays]
    while live := [i for i, play in enumerate(plays) if play.end is None]:
        answers = _sample(sampler, [plays[i] for i in live], sampling, [samples[i] for i in live])
        _act(scene, _answered([plays[i] for i in live], answers), choosing)
    _close(scene, plays)
    source = Source.GREEDY if sampling.temperature == 0.0 and sampling.epsilon == 0.0 else Source.POLICY
    episodes = [_episode(one, step, source) for one in plays]
    groups = [episodes[i : i + group_size] for i in range(0, len(episodes), group_size)]
    return score(scene.rewards, groups, scene.reward_seconds)


def _sample(
    sampler: Sampler, plays: Sequence[_Play], sampling: Sampling, rngs: Sequence[np.random.Generator]
) -> Sequence[Completion | Unanswered]:
    """A completion for each episode. A sampler that knows no choices is one where there are none."""
    prompts, choices = [one.prompt for one in plays], [one.choices for one in plays]
    if not any(choices):
        return sampler.sample(prompts, sampling, rngs)
    _require_choices_of(sampler)
    return sampler.sample(prompts, sampling, rngs, choices)


def _require_choices_of(sampler: Sampler) -> None:
    """Raise ValueError for a sampler that cannot be told what each completion may be."""
    try:
        inspect.signature(sampler.sample).bind([], None, [], [])
    except TypeError as error:
        raise ValueError(
            f"{type(sampler).__qualname__}.sample cannot be told the choices of an action ({error}). Give it a fourth "
            "argument, sample(prompts, sampling, rngs, choices=()): completion i is then one of choices[i].tokens, or "
            "anything where that is None. Or take the default sampler, or no choices."
        ) from error


def _start(scene: Scene, plays: list[_Play], purpose: str, choosing: Choosing) -> None:
    """Make the environments and read their first text. A task that cannot start FAILS its episode."""

    def begin(one: _Play) -> tuple[Any, Any]:
        env = scene.environment(one.task, stream(scene.seed, f"environment/{purpose}", *one.seed[1:]))
        return env, env.start() if isinstance(env, Env) else None

    results = run_concurrently(
        [partial(begin, one) for one in plays], scene.environment_seconds, "the start of the environment"
    )
    for one, result in zip(plays, results, strict=True):
        if isinstance(result, BaseException):
            _fail(one, trace(result))
            continue
        env, opening = result
        if not isinstance(env, Env):
            _fail(one, f"the environment made {returned(env)}: an episode has start(), step(text) and close()")
            continue
        one.env = env
        if flaw := _opening_flaw(opening):
            _fail(one, f"{_name(env)}.start returned {flaw}")
            continue
        text, choices = (opening.text, opening.choices) if isinstance(opening, Step) else (opening, None)
        _read(one, partial(scene.codec.start, text))
        _look_ahead(scene, one, choosing, choices)


def _opening_flaw(opening: object) -> str:
    """What is wrong with what an environment starts with: a prompt, or a Step that has no reward and no end."""
    if not isinstance(opening, Step):
        return prompt_flaw(opening)
    if opening.reward != 0.0 or opening.end is not None:
        return f"a Step with reward {opening.reward} and end {opening.end}: nothing has been done yet"
    return ""


def _look_ahead(scene: Scene, one: _Play, choosing: Choosing, own: Sequence[str] | None) -> None:
    """Take the choices of the next action. FAIL an episode whose choices are wrong or that might not fit."""
    try:
        one.choices = choosing.of(one.task, own)
    except Exception as error:  # user code: the choices may be any texts
        _fail(one, trace(error))
    if one.end is None:
        _check_context(scene, one, choosing.max_tokens if one.choices is None else one.choices.longest)


def try_start(scene: Scene, tasks: Sequence[Task], sampling: Sampling) -> dict[str, str]:
    """Why episodes of these tasks could not begin, by task id; those that can are closed again."""
    plays = [_Play("", task, 0, (scene.seed, 0, i)) for i, task in enumerate(tasks)]
    _start(scene, plays, "trial", scene.choosing(sampling))
    failures = {one.task.id: one.error for one in plays if one.error}
    _close(scene, plays)
    return failures


def _answered(live: list[_Play], answers: Sequence[Completion | Unanswered]) -> list[tuple[_Play, Completion]]:
    """The episodes that have a completion, with it. One without FAILS."""
    found = list[tuple[_Play, Completion]]()
    for one, answer in zip(live, answers, strict=True):
        if isinstance(answer, Unanswered):
            _fail(one, answer.reason)
        else:
            found.append((one, answer))
    return found


def _act(scene: Scene, acting: list[tuple[_Play, Completion]], choosing: Choosing) -> None:
    """Give each episode its completion, and take the environment's answer."""
    texts = [scene.codec.decode(completion.tokens) for _, completion in acting]
    envs = [one.env for one, _ in acting if one.env is not None]
    calls = [partial(env.step, text) for env, text in zip(envs, texts, strict=True)]
    results = run_concurrently(calls, scene.environment_seconds, "environment.step")
    for (one, completion), text, result in zip(acting, texts, results, strict=True):
        if not isinstance(result, Step):
            one.turns.append(Turn(one.prompt, completion, text, choices=one.choices))
            _fail(one, trace(result) if isinstance(result, BaseException) else _no_step(one, result))
            continue
        one.turns.append(Turn(one.prompt, completion, text, result.reward, result.data, one.choices))
        _refuse_non_finite(one.task, text, result.reward)
        one.end = result.end
        if one.end is not End.TERMINATED:
            _read(one, partial(_next, scene.codec, one.prompt, completion.tokens, result))
            _look_ahead(scene, one, choosing, result.choices)


def _refuse_non_finite(task: Task, text: str, reward: float) -> None:
    """Stop the run where the environment pays what is no number."""
    if not math.isfinite(reward):
        what = f"the environment's reward of task {task.id}: {reward}"
        raise NonFinite(what, text, "Let it pay a finite number, then go on.")


def _close(scene: Scene, plays: list[_Play]) -> None:
    """Let every environment free what it holds. What goes wrong there changes nothing that was played."""
    opened = [(one, one.env) for one in plays if one.env is not None]
    results = run_concurrently([env.close for _, env in opened], scene.environment_seconds, "environment.close")
    for (one, _), result in zip(opened, results, strict=True):
        if isinstance(result, BaseException) and one.end is not End.FAILED:
            one.error = trace(result)


def _read(one: _Play, encode: Callable[[], Tokens]) -> None:
    """Take the next prompt; a text that the policy cannot read FAILs the episode."""
    try:
        one.prompt = encode()
    except Exception as error:  # user code: the environment's text may be of any kind
        _fail(one, trace(error))


def _next(codec: Codec, prompt: Tokens, written: Tokens, step: Step) -> Tokens:
    """The prompt after a step: its text alone where that replaces all, else behind what stood and was written."""
    return codec.start(step.text) if step.replaces else codec.extend(prompt, written, step.text)


def _no_step(one: _Play, result: object) -> str:
    return f"{_name(one.env)}.step returned {returned(result)}: it returns strop.Step(text, reward, end)"


def _name(env: object) -> str:
    return type(env).__qualname__


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
        final_choices=one.choices if one.end is End.TRUNCATED else None,
    )
