"""The plan of a run: what it is going to do, in words and numbers, before it starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from strop.baselines._naming import named_baselines
from strop.reports.settings import changed_settings, every_setting
from strop.runs.names import short
from strop.runs.spec import encode
from strop.scale import VLLM, Embedded
from strop.scale.engines import OverHttp
from strop.types import Parts, Policy, Schedule, Task, Tokens
from strop.words import plural

if TYPE_CHECKING:
    from strop.config import TrainConfig

SHOWN = 6
"""Choices that a plan names."""
HOW = {"sampled": "", "greedy": ", greedily", "choices": ", by the likeliest choice"}
"""What `judgement` says of held-out tasks."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt as text and as the ids that the policy reads."""

    task: str
    text: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Plan:
    """The resolved plan of a run. `changed` are the fields that differ from their defaults, `fields` are all."""

    work: str
    distribution: str
    policy: str
    algorithm: str
    environment: str
    engine: str
    memory: str
    rewards: str
    baselines: str
    tasks: str
    schedule: str
    seed: str
    device: str
    changed: list[str]
    fields: list[str]
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, str]]:
        """The rows (name, text) to print."""
        rows = [
            ("policy", self.policy),
            ("algorithm", self.algorithm),
            ("environment", self.environment),
            ("a step", self.work),
            ("engine", self.engine),
            ("memory", self.memory),
            ("sampling", self.distribution),
            ("rewards", self.rewards),
            ("baselines", self.baselines),
            ("tasks", self.tasks),
            ("run", self.schedule),
            ("seed", self.seed),
            ("device", self.device),
            ("changed", " ".join(self.changed)),
            *(("warning", text) for text in self.warnings),
        ]
        return [(name, text) for name, text in rows if text]

    def to_json(self) -> str:
        """The rows as JSON: a run stores them, so that showing it later loads no model."""
        return json.dumps(dict(self.lines()), indent=2, ensure_ascii=False)


def make_plan(
    config: TrainConfig, parts: Parts, threads_from: str = "", warnings: tuple[str, ...] = (), num_samples: int = 2
) -> Plan:
    """The plan of a resolved config and the parts that it built. `samples` skips tasks without a prompt, since their
    environment makes it. `threads_from` says what chose the number of threads, where the config does not."""
    memory = title(encode(config.memory))
    return Plan(
        work=_work(config),
        distribution=_distribution(config),
        policy=f"{title(encode(config.policy))}: {_parameters(parts.policy)}",
        algorithm=title(encode(config.algorithm)),
        environment=title(encode(config.environment)),
        engine=_engine(config),
        memory="" if memory == "Fresh" else memory,
        rewards=_rewards(config),
        baselines=", ".join(named_baselines(config.baselines)),
        tasks=_tasks(config),
        schedule=_schedule(config),
        seed=f"{config.seed}; {config.dtype}, {_threads(config, threads_from)}",
        device=_device(config),
        changed=changed_settings(config),
        fields=every_setting(encode(config)),
        samples=tuple(_sample(task, parts) for task in islice(config.tasks, num_samples) if task.prompt),
        warnings=warnings,
    )


def title(spec: object) -> str:
    """The name of an encoded component: `GRPO`, or `Steered (base Table)`."""
    if not isinstance(spec, dict):
        return str(spec)
    if "class" not in spec:
        return short(spec["name"]) if "name" in spec else str(spec.get("object", ""))
    name = short(spec["class"])
    of = [title(spec[field]) for field in ("model", "make", "run", "stage") if field in spec]
    of += [f"{field} {title(spec[field])}" for field in ("base", "teacher") if field in spec]
    return f"{name} ({', '.join(of)})" if of else name


def _tasks(config: TrainConfig) -> str:
    if config.corpus is None:
        drawn = "" if isinstance(config.tasks, Sequence) else f", drawn by {title(encode(config.tasks))}"
        return f"{len(list(config.tasks))} to train on{drawn}, {len(config.held_out)} held out"
    read = f"{plural(len(config.held_out), 'text')} sampled" if config.held_out else "hidden tokens filled in"
    return f"the corpus {config.corpus.source}; {read} at every evaluation"


def _samples(config: TrainConfig) -> bool:
    """Whether training samples from the policy."""
    return config.reads in ("tasks", "teacher")


def _work(config: TrainConfig) -> str:
    from strop.memory import Chunks

    if config.corpus is not None and isinstance(config.memory, Chunks.Config):
        chunk = f"{plural(config.memory.size, 'chunk')} of {plural(config.memory.length, 'token')}"
        return f"learns from {chunk} of the corpus; nothing is sampled"
    if not _samples(config):
        return f"learns from {len(list(config.tasks))} {config.reads}; nothing is sampled"
    prompts, samples = config.prompts_per_step, config.group_size
    return (
        f"{plural(prompts, 'prompt')} x {plural(samples, 'sample')} = {plural(prompts * samples, 'episode')} of at "
        f"most {plural(config.sampling.max_tokens, 'token')} a turn"
    )


def _engine(config: TrainConfig) -> str:
    """Where episodes are played, if that is not this process, with all of a step in one batch."""
    engine = config.engine
    if isinstance(engine, Embedded):
        return "plays one group after the other" if engine.batch == "group" else ""
    if isinstance(engine, OverHttp):
        server = "vLLM" if isinstance(engine, VLLM) else "the server"
        return f"sampled by {server} at {engine.url}, which loads each step's weights, and corrected for its gap"
    where = "on this machine" if engine.address is None else f"at {engine.address}"
    stale = "each step by its newest weights"
    if engine.staleness:
        stale = f"episodes at most {plural(engine.staleness, 'step')} old, and corrected for their age"
    samples = ", each with a vLLM server of its own" if engine.vllm else ""
    samples += f", {engine.groups} groups in a batch" if engine.groups > 1 else ""
    return f"{plural(engine.replicas, 'replica')} on Ray {where}{samples}; {stale}"


def _distribution(config: TrainConfig) -> str:
    first, last = config.sampling.at(0), config.sampling.at(max(config.steps - 1, 0))
    words = [f"temperature {_from_to(first.temperature, last.temperature)}"]
    words += [f"epsilon {_from_to(first.epsilon, last.epsilon)}"] if first.epsilon or last.epsilon else []
    words += [f"top-p {first.top_p:g}"] if first.top_p < 1 else []
    words += [f"top-k {first.top_k}"] if first.top_k else []
    words += [_choices(first.choices)] if first.choices else []
    if not _samples(config):
        return f"{', '.join(words)}, where held-out tasks are played" if config.held_out else ""
    sampler = title(encode(config.sampler))
    other = "" if config.sampler.shares_weights else f"; drawn by {sampler}, and corrected for its gap"
    return f"{', '.join(words)}, for sampling and log-probs alike{other}"


def _choices(choices: Sequence[str] | str) -> str:
    """Which choices an action is one of."""
    if isinstance(choices, str):
        return f"one of each task's {choices}"
    return f"one of {', '.join(choices[:SHOWN])}{', ...' if len(choices) > SHOWN else ''}"


def _from_to(first: float | Schedule, last: float | Schedule) -> str:
    return f"{first:g}" if first == last else f"{first:g} at first, {last:g} at the end"


def _threads(config: TrainConfig, threads_from: str) -> str:
    return plural(config.threads or 1, "thread") + (f" ({threads_from})" if threads_from else "")


def _device(config: TrainConfig) -> str:
    """The device, why it is that, and what a resume on it promises."""
    from strop.devices import described
    from strop.runs.resuming import promise

    assert not isinstance(config.policy, str)
    assert config.dtype is not None
    return f"{described(config.device, config.policy)}; {promise(config.device, config.dtype)}"


def _parameters(policy: Policy) -> str:
    from strop.policies._weights import Weights

    trained = sum(parameter.numel() for parameter in policy.parameters())
    frozen = 0
    if isinstance(policy, Weights):
        frozen = sum(parameter.numel() for parameter in policy.model.parameters() if not parameter.requires_grad)
    return f"{trained:,} trainable parameters" + (f" of {trained + frozen:,}" if frozen else "")


def _rewards(config: TrainConfig) -> str:
    assert isinstance(config.rewards, dict)
    assert isinstance(config.gold, dict)
    named = ", ".join(f"{name} x {weight:g}" for name, (_, weight) in config.rewards.items())
    gold = [f"judged beside them: {', '.join(config.gold)}"] if config.gold else []
    if config.reads == "tasks":
        return "; ".join([named or "the environment's own", *gold])
    if config.corpus is not None:
        return "none: it learns the likelihood of the text"
    source = f"none in training: it learns from the {config.reads}"
    if config.reads == "played episodes":
        source = "those that the played episodes hold"
    return "; ".join([source, *([f"held-out tasks: {named}"] if named else []), *gold])


def _schedule(config: TrainConfig) -> str:
    judged = (
        f"judged every {plural(config.eval_every, 'step')}" if config.eval_every else "judged at the start and the end"
    )
    if not config.held_out and config.corpus is None:
        judged = "never judged (no held-out tasks)"
    elif config.corpus is None:
        judged += HOW[config.judgement]
    steps = plural(config.steps, "step")
    if config.minutes is not None:
        steps += f" or {config.minutes:g} minutes of training, whichever ends first"
    return f"{steps}; {judged}; a checkpoint every {plural(config.checkpoint_every, 'step')}"


def _sample(task: Task, parts: Parts) -> Sample:
    """The prompt as the policy reads it, with the chat template."""
    tokens = parts.codec.start(task.prompt)
    return Sample(task.id, parts.codec.decode(tokens), tokens)
