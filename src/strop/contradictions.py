"""Refuse configs whose parts contradict each other, before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from strop.algorithms.sft import SFT
from strop.data.played import EPISODES
from strop.endpoint.address import require_client
from strop.endpoint.fields import sampling_fields
from strop.environments.single_turn import SingleTurn
from strop.memory import Chunks, Dataset, Fresh
from strop.policies.convolutional import Convolutional
from strop.policies.masked_encoder import WRITES_NOTHING
from strop.policies.recurrent import Recurrent
from strop.policies.steered import Steered
from strop.rewards._calling import refuse_uncallable
from strop.rewards._naming import named_rewards
from strop.scale.engines import COLDEST, OverHttp, asks_over_http, is_vllm
from strop.types import AlgorithmConfig, Task

if TYPE_CHECKING:
    from strop.config import TrainConfig


def refuse_contradictions(config: TrainConfig) -> None:
    """Raise ValueError for a resolved config that cannot run, or from which nothing could be learnt."""
    _refuse_a_reader_that_should_act(config)
    _refuse_wrong_tasks(config)
    _refuse_wrong_memory(config)
    _refuse_wrong_rewards(config)
    _refuse_steps_out_of_reach(config)
    _refuse_groups_too_small(config)
    _refuse_judging_by_no_choices(config)
    _refuse_dropout_while_sampling(config)
    _refuse_what_http_cannot(config)


def name_of(config: object) -> str:
    """`GRPO` of a GRPO.Config."""
    return type(config).__qualname__.split(".")[0]


def corrected(config: TrainConfig) -> AlgorithmConfig:
    """The algorithm's config with a correction for samples of another engine, or of older policies.

    Raises ValueError where it has none.
    """
    algorithm = config.algorithm.corrected()
    if algorithm is None and config.staleness:
        raise ValueError(
            f"engine.staleness={config.staleness}: {name_of(config.algorithm)} learns only from its newest policy, and "
            "has no correction for episodes of older ones. Set engine.staleness=0, or take GRPO or PPO."
        )
    if algorithm is None:
        field = (
            f"engine={name_of(config.engine)}"
            if config.sampler.shares_weights
            else f"sampler={name_of(config.sampler)}"
        )
        raise ValueError(
            f"{field} is another engine than the policy's own, so its log-probs differ "
            f"a little, and {name_of(config.algorithm)} has no correction for that. Take an algorithm that has one, "
            f"such as GRPO, or leave {field.partition('=')[0]} out."
        )
    return algorithm


def _refuse_a_reader_that_should_act(config: TrainConfig) -> None:
    assert not isinstance(config.policy, str)
    if config.policy.acts:
        return
    wants = config.algorithm.heads - {"value"}
    if wants or (config.held_out and (config.rewards or config.gold)):
        needs = (
            f"{name_of(config.algorithm)} learns from its choices" if wants else "rewards would judge what it writes"
        )
        raise ValueError(f"policy={name_of(config.policy)}: {WRITES_NOTHING} Here {needs}.")


def _refuse_wrong_tasks(config: TrainConfig) -> None:
    if config.corpus is not None:
        return _refuse_wrong_corpus(config)
    if not config.tasks:
        raise ValueError("there is nothing to train on: give tasks=[strop.Task(...), ...] or data='file.jsonl'.")
    _refuse_same_ids("tasks", config.tasks)
    _refuse_same_ids("held_out", config.held_out)
    _refuse_a_source_without_outcomes(config)


def _refuse_a_source_without_outcomes(config: TrainConfig) -> None:
    """A source that draws by success does nothing where nothing is played, or nothing scores."""
    if isinstance(config.tasks, Sequence) or (config.pays and not config.is_offline):
        return
    why = f"it learns from {config.reads} and plays no task" if config.is_offline else "nothing gives a reward"
    raise ValueError(
        f"tasks={name_of(config.tasks)}: it draws tasks by their success, and {name_of(config.algorithm)} sees none, "
        f"since {why}. Give tasks=[strop.Task(...), ...]."
    )


def _refuse_wrong_corpus(config: TrainConfig) -> None:
    name = name_of(config.algorithm)
    if config.tasks:
        raise ValueError("tasks and a corpus are both given: a run learns from one of them.")
    if config.algorithm.reads != "demonstrations":
        raise ValueError(
            f"{name} learns from {config.algorithm.reads}, and data is a corpus: take SFT, Counting, or MaskedLM."
        )
    if isinstance(config.algorithm, SFT.Config) and not config.algorithm.end:
        raise ValueError("algorithm.end=false is for given answers: the documents of a corpus have their ends in it.")
    if not isinstance(config.memory, Chunks.Config):
        raise ValueError("a corpus is read in chunks: memory is strop.memory.Chunks.Config(...), or left out.")


def _refuse_same_ids(what: str, tasks: Iterable[Task]) -> None:
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise ValueError(f"{what} holds the id {task.id!r} twice: ids tell tasks apart in the run.")
        seen.add(task.id)


def _refuse_wrong_memory(config: TrainConfig) -> None:
    name, reads = name_of(config.algorithm), config.reads
    if config.is_on_policy and reads == EPISODES:
        raise ValueError(f"{name} is on-policy: it cannot learn from {reads}. ILQL can, or SFT on the good ones.")
    if isinstance(config.memory, Fresh.Config) and config.is_offline:
        raise ValueError(f"memory=Fresh forgets the {reads} after a step: leave memory out, or use Dataset.")
    if isinstance(config.memory, Chunks.Config) and config.corpus is None:
        raise ValueError("memory=Chunks holds the chunks of a corpus: set data=strop.Corpus(...), or leave memory out.")
    if reads == EPISODES and not isinstance(config.memory, Dataset.Config):
        raise ValueError(f"{reads} come from data, so memory is strop.memory.Dataset.Config(...), or left out.")
    if config.is_on_policy and not isinstance(config.memory, Fresh.Config):
        raise ValueError(f"{name} is on-policy: it cannot learn from a replay memory. Leave memory out.")
    if not config.sampler.shares_weights and config.is_offline:
        raise ValueError(f"sampler={name_of(config.sampler)}: {name} learns from {reads} and samples nothing.")


def _refuse_wrong_rewards(config: TrainConfig) -> None:
    if config.environment is SingleTurn and not config.rewards and config.reads == "tasks":
        raise ValueError("nothing gives a reward: set rewards=[function], or an environment whose steps pay.")
    if config.gold and not config.held_out:
        raise ValueError("gold is judged on held-out tasks, and there are none: set held_out=[...].")
    if config.baselines and not (config.held_out and config.can_judge):
        lacks = "rewards, gold or an environment that pays" if config.held_out else "held_out=[...]"
        raise ValueError(f"baselines are judged on held-out tasks like the policy: set {lacks}, or leave them out.")
    tasks = (*config.tasks, *config.held_out)
    refuse_uncallable(named_rewards(config.rewards, "rewards"), tasks, "rewards")
    refuse_uncallable(named_rewards(config.gold, "gold"), tasks, "gold")


def _refuse_steps_out_of_reach(config: TrainConfig) -> None:
    """A pick holds memory.n_step turns: n-step targets that look further would silently be cut short."""
    assert config.memory is not None
    wanted, turns = config.algorithm.n_step, config.memory.n_step
    if wanted is None or turns is None or wanted <= turns * config.sampling.max_tokens:
        return
    needed = math.ceil(wanted / config.sampling.max_tokens)
    raise ValueError(
        f"algorithm.n_step={wanted}: {name_of(config.algorithm)} sees {turns} turn{'s' * (turns != 1)} of at most "
        f"{config.sampling.max_tokens} tokens at a time. Set memory.n_step={needed}."
    )


def _refuse_groups_too_small(config: TrainConfig) -> None:
    """A method that compares the episodes of a task learns nothing from fewer than `least`."""
    least = config.extras.least
    if config.group_size < least and not config.is_offline:
        raise ValueError(
            f"group_size={config.group_size}: {name_of(config.algorithm)} compares the episodes of one task, and needs "
            f"at least {least} of them. REINFORCE, ReMax, A2C and PPO learn from single ones."
        )


def _refuse_judging_by_no_choices(config: TrainConfig) -> None:
    """Other environments may say in each `Step` what its action can be."""
    if config.judgement == "choices" and config.environment is SingleTurn and not config.sampling.choices:
        raise ValueError(
            'judgement="choices" takes the likeliest of a few choices, and there are none: give sampling.choices, or '
            'set judgement to "sampled" or "greedy".'
        )


def _refuse_dropout_while_sampling(config: TrainConfig) -> None:
    """Dropout acts in the loss and not while sampling: the policy that learns would not be the one that acted."""
    policy = config.policy.base if isinstance(config.policy, Steered.Config) else config.policy
    if not isinstance(policy, Recurrent.Config | Convolutional.Config):
        return
    if policy.dropout and config.algorithm.reads in ("tasks", "teacher"):
        raise ValueError(
            f"policy.dropout={policy.dropout:g} is for pretraining (SFT): {name_of(config.algorithm)} learns from what "
            "the policy samples, whose log-probs would differ from those of the loss. Set policy.dropout=0."
        )


def _refuse_what_http_cannot(config: TrainConfig) -> None:
    """An engine over HTTP is told temperature, top_p and a limit, and samples nothing else."""
    if not asks_over_http(config.engine):
        return
    engine = f"engine={name_of(config.engine)}"
    require_client(engine, "http")
    if config.is_offline:
        raise ValueError(f"{engine}: {name_of(config.algorithm)} learns from {config.reads} and samples nothing.")
    if isinstance(config.engine, OverHttp) and not config.engine.weights:
        raise ValueError(f"engine.weights is empty: name {config.engine.folder_is}, through which the weights go.")
    if not config.sampler.shares_weights:
        raise ValueError(f"sampler={name_of(config.sampler)}: with {engine} the server samples. Leave sampler out.")
    if config.sampling.choices:
        raise ValueError("sampling.choices: an engine over HTTP cannot be told them. Take another engine.")
    for step in range(max(config.steps, 1) if config.sampling.is_scheduled else 1):
        fields = sampling_fields(config.sampling.at(step))
        if is_vllm(config.engine) and 0.0 < fields["temperature"] < COLDEST:
            raise ValueError(
                f"sampling.temperature={fields['temperature']:g}: vLLM samples at {COLDEST:g} instead, the lowest that "
                "it knows. Set it to that, or to 0."
            )
