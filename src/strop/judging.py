"""How held-out tasks are judged: a corpus by its likelihood, pairs by comparison, all others by being played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from strop.beside import LONGEST, AnyLength
from strop.choices import Choosing
from strop.corpora import judge_corpus
from strop.data.preferences import preferences
from strop.endpoint.transcripts import ChatSampler, Transcripts
from strop.evaluate import judge as judge_played
from strop.evaluate import judge_choices
from strop.learners.preference import judge_pairs
from strop.likeliest import Likeliest
from strop.samplers.local import LocalSampler
from strop.types import Comparer, Episode, Parts, Policy, Task

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.endpoint.endpoint import Endpoint


def judge(config: TrainConfig, parts: Parts, step: int) -> tuple[list[Episode], dict[str, float]]:
    """Evaluate the policy on the held-out tasks: episodes, and metrics named held_out/...

    Pairs are compared if the algorithm is a Comparer; they are played too if something scores the answers.
    """
    pairs, tasks = config.judged_tasks(parts.algorithm)
    episodes, metrics = list[Episode](), dict[str, float]()
    if config.corpus is not None:
        episodes, metrics = judge_corpus(config.corpus, parts.policy, config.micro_tokens, step)
    if tasks:
        played, scores = _play(config, tasks, parts, step)
        episodes = [*episodes, *played]
        if not config.can_judge:
            del scores["held_out/reward"]  # without rewards it would always be 0
        metrics |= scores
    if pairs and isinstance(parts.algorithm, Comparer):
        answers = preferences(pairs, parts.codec, parts.policy.context, Choosing(parts.codec, config.sampling))
        metrics |= judge_pairs(parts.algorithm, answers, parts.policy.layout)
    return episodes, metrics


def judge_endpoint(config: TrainConfig, endpoint: Endpoint) -> tuple[list[Episode], dict[str, float]]:
    """Have a model behind an API play the held-out tasks of a resolved config: episodes, and metrics named held_out/...

    Raises ValueError where nothing scores a text, or the tasks are judged by probabilities that an API does not tell.
    """
    if config.corpus is not None or not config.can_judge:
        raise ValueError("an endpoint writes texts, and nothing here scores them: take a recipe with rewards or gold.")
    if config.judgement == "choices":
        raise ValueError(
            'judgement="choices" reads the probability of each choice, which an endpoint does not tell: set judgement '
            'to "sampled" or "greedy".'
        )
    codec, policy, of_run = Transcripts(), cast("Policy", AnyLength()), config.sampling.at(0)
    sampling = replace(of_run, max_tokens=LONGEST)  # the codec's tokens are bytes, and those of the run are not
    if config.judgement == "greedy":
        sampling = replace(sampling, temperature=0.0, epsilon=0.0)
    scene, sampler = config.scene(policy, codec, gold=True), ChatSampler(endpoint, codec, of_run.max_tokens)
    episodes, metrics = judge_played(scene, config.held_out, sampler, sampling, 0, config.gold_weights)
    del metrics["held_out/tokens"]  # an endpoint's tokens are its own affair: these are bytes
    return episodes, metrics


def _play(
    config: TrainConfig, tasks: Sequence[Task], parts: Parts, step: int
) -> tuple[list[Episode], dict[str, float]]:
    """Play held-out tasks, answered as `judgement` says."""
    scene, sampling = config.scene(parts.policy, parts.codec, gold=True), config.sampling.at(step)
    if config.judgement == "choices":
        likeliest, certain = Likeliest(parts.policy), replace(sampling, epsilon=0.0)
        played, scores = judge_played(scene, tasks, likeliest, certain, step, config.gold_weights)
        return played, scores | judge_choices(played, likeliest.logprobs, scene.choosing(certain))
    if config.judgement == "greedy":
        sampling = replace(sampling, temperature=0.0, epsilon=0.0)
    sampler = LocalSampler(parts.policy, parts.codec.stop)
    return judge_played(scene, tasks, sampler, sampling, step, config.gold_weights)
