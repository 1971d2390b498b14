"""What a run is going to do, in words and numbers, before it spends time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.spec import encode
from strop.types import Parts, Task, Tokens

if TYPE_CHECKING:
    from strop.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt as text and as the ids that the policy reads."""

    task: str
    text: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Plan:
    """The resolved plan of a run."""

    work: str
    law: str
    policy: str
    algorithm: str
    rewards: str
    tasks: str
    schedule: str
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, str]]:
        """(name, sentence) for a person."""
        return [
            ("policy", self.policy),
            ("algorithm", self.algorithm),
            ("a step", self.work),
            ("sampling", self.law),
            ("rewards", self.rewards),
            ("tasks", self.tasks),
            ("run", self.schedule),
            *(("warning", text) for text in self.warnings),
        ]


def make_plan(
    config: TrainConfig, parts: Parts, threads_from: str = "", warnings: tuple[str, ...] = (), num_samples: int = 2
) -> Plan:
    """The plan of a resolved config and the parts that it built. A task without a prompt leaves the first word to its
    environment, and shows nothing. `threads_from` says who chose their number, where the config left it open."""
    return Plan(
        work=_work(config),
        law=_law(config),
        policy=_policy(config, parts, threads_from),
        algorithm=_fields(config.algorithm),
        rewards=_rewards(config),
        tasks=f"{len(config.tasks)} to train on, {len(config.held_out)} held out",
        schedule=_schedule(config),
        samples=tuple(_sample(task, parts) for task in config.tasks[:num_samples] if task.prompt),
        warnings=warnings,
    )


def _work(config: TrainConfig) -> str:
    if config.reads not in ("tasks", "teacher"):
        return f"learns from {len(config.tasks)} {config.reads}; nothing is sampled"
    episodes = config.prompts_per_step * config.group_size
    return (
        f"{config.prompts_per_step} prompts x {config.group_size} samples = {episodes} episodes of at most "
        f"{config.sampling.max_tokens} tokens a turn; micro-batches of {config.micro_tokens} tokens"
    )


def _law(config: TrainConfig) -> str:
    sampling = config.sampling.at(0)
    cut = f", top-p {sampling.top_p:g}" if sampling.top_p < 1 else ""
    cut += f", top-k {sampling.top_k}" if sampling.top_k else ""
    explore = f", epsilon {sampling.epsilon:g}" if sampling.epsilon else ""
    engine = "" if config.sampler.shares_weights else f"; drawn by {_fields(config.sampler)}, and corrected for its gap"
    return f"temperature {sampling.temperature:g}{explore}{cut}, in sampling and scoring alike{engine}"


def _policy(config: TrainConfig, parts: Parts, threads_from: str) -> str:
    trained = sum(parameter.numel() for parameter in parts.policy.parameters())
    threads = f"{config.threads} thread{'s' * (config.threads != 1)}" + (f" ({threads_from})" if threads_from else "")
    return f"{_fields(config.policy)}: {trained:,} numbers train; {config.dtype}, {threads}"


def _rewards(config: TrainConfig) -> str:
    assert isinstance(config.rewards, dict)
    assert isinstance(config.gold, dict)
    text = ", ".join(f"{name} x {weight:g}" for name, (_, weight) in config.rewards.items()) or "the environment's own"
    return text + (f"; judged beside them: {', '.join(config.gold)}" if config.gold else "")


def _schedule(config: TrainConfig) -> str:
    judged = f"every {config.eval_every} steps" if config.eval_every else "at the start and the end"
    if not config.held_out:
        judged = "never (no held-out tasks)"
    return (
        f"{config.steps} steps, seed {config.seed}; judged {judged}; a checkpoint every {config.checkpoint_every} steps"
    )


def _fields(config: object) -> str:
    """`GRPO (clip 0.2, epochs 1, ...)`: a component and its plain fields."""
    return describe(encode(config))


def describe(spec: object) -> str:
    """The same from what `encode` wrote into a run's config.json."""
    if not isinstance(spec, dict):
        return str(spec)
    if "name" in spec:
        return str(spec["name"]).partition(":")[2]
    return f"{_title(spec)} ({', '.join(_flat(spec))})"


def _title(spec: dict[str, object]) -> str:
    return str(spec["class"]).partition(":")[2].removesuffix(".Config")


def _flat(spec: dict[str, object]) -> list[str]:
    words = []
    for name, value in spec.items():
        if isinstance(value, dict) and "class" in value:
            words.append(f"{name} {_title(value)}({', '.join(_flat(value))})")
        elif name != "class":
            words.append(f"{name} {_short(value)}")
    return words


def _short(value: object) -> str:
    if isinstance(value, list) and len(value) > 4:
        return f"[{len(value)} of them]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sample(task: Task, parts: Parts) -> Sample:
    """As the policy reads it: with what a chat template adds."""
    tokens = parts.codec.start(task.prompt)
    return Sample(task.id, parts.codec.decode(tokens), tokens)
