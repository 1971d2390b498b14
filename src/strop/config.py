"""TrainConfig: everything a run depends on, in one frozen record that a recipe returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from strop import devices, judging, offline
from strop.algorithms.grpo import GRPO
from strop.baselines._naming import BaselineSet, named_baselines
from strop.contradictions import corrected, refuse_contradictions
from strop.data import preferences as preferring
from strop.data.corpus import Corpus
from strop.data.source import source_of
from strop.environments.single_turn import SingleTurn
from strop.kinds import check_kinds, check_numbers
from strop.memory import Fresh
from strop.policies.demands import require_values
from strop.rewards._naming import RewardSet, named_rewards
from strop.rollout.engine import EmbeddedEngine, OfflineEngine
from strop.rollout.play import GOLD, Scene
from strop.runs.dtypes import default_dtype
from strop.runs.global_state import set_up_torch
from strop.runs.trained import chosen_policy
from strop.samplers.local import LocalSampler
from strop.scale import VLLM, Embedded, Http, Ray
from strop.scale.engines import OverHttp, asks_over_http
from strop.threads import threads_of
from strop.types import (
    Algorithm,
    AlgorithmConfig,
    Batching,
    Codec,
    Comparer,
    Environment,
    Episode,
    Extras,
    MemoryConfig,
    Parts,
    Policy,
    PolicyConfig,
    RolloutEngine,
    Sampler,
    SamplerConfig,
    Sampling,
    Task,
    TaskSourceConfig,
)

JUDGEMENTS = ("sampled", "greedy", "choices")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One run.

    policy            a model's name, folder or Hub id, a run (`strop.FromRun`), or the Config of any policy
    tasks             the training tasks, or a source that draws them by what became of them (`strop.data.Curriculum`)
    held_out          the evaluation tasks; they should share no problem with the training tasks
    data              a file (`data.tasks`) instead of `tasks`; without `held_out`, a tenth of its problems is held out
                      if they can be evaluated (there are rewards, or pairs). Or a run's folder, for the episodes that
                      it played (`data.played`). Or a `strop.Corpus`, for a language model from scratch
    environment       called as environment(task, rng) for every episode
    rewards           a list of functions, or {name: function} or {name: (function, weight)}
    gold              like rewards: scores of held-out episodes that are reported and never trained on
    baselines         a list or dict of simple ways to do the task (`strop.baselines`), which play the held-out tasks
                      once and are shown beside the policy
    algorithm         its Config, with its optimizer and kl
    sampling          the distribution of the next token, the same in sampling, in the loss and in evaluation
    sampler           its Config: what samples in training (in an evaluation the policy itself samples)
    judgement         how held-out tasks are answered: "sampled" as in training, "greedy" by the likeliest tokens, or
                      "choices" by the likeliest of `sampling.choices`, which also tells whether it was the answer, and
                      how far the probabilities can be believed
    engine            where episodes are played: `strop.scale.Embedded` in this process, `strop.scale.Ray` on replicas;
                      `strop.scale.Http` and `strop.scale.VLLM` have a server sample them
    memory            its Config; none takes the algorithm's default
    group_size        episodes per task in a step
    prompts_per_step  tasks per step
    steps             training steps of the run
    minutes           training time after which it ends before its last step; evaluations and saving do not count
    seed              of all random draws
    eval_every        steps between held-out evaluations; 0 evaluates at the start and the end only
    patience          evaluations in a row without a better held-out score after which the run ends; 0 never ends it
    checkpoint_every  steps between checkpoints
    dtype             float32 or bfloat16 (a table always computes in float64); none takes what the policy's Config asks
                      for: bfloat16 for a pretrained model if the hardware multiplies it, else float32
    device            cpu, cuda, cuda:1, mps; auto takes an accelerator for transformers, if torch finds one, and the
                      CPU for all else
    threads           CPU threads; none takes OMP_NUM_THREADS, else every core that the process and its container have
    micro_tokens      most padded tokens of a pass: more is faster, needs more memory, and never changes the result
    environment_seconds  time limit for one call of an environment; after it the episode is FAILED
    reward_seconds    time limit for one call of a reward; after it the episode is Unscored
    """

    policy: str | PolicyConfig = "smollm2"
    tasks: Sequence[Task] | TaskSourceConfig = ()
    data: str | Path | Corpus | None = None
    held_out: Sequence[Task] = ()
    environment: Environment = SingleTurn
    rewards: RewardSet = ()
    gold: RewardSet = ()
    baselines: BaselineSet = ()
    algorithm: AlgorithmConfig = field(default_factory=GRPO.Config)
    sampling: Sampling = field(default_factory=Sampling)
    sampler: SamplerConfig = field(default_factory=LocalSampler.Config)
    judgement: Literal["sampled", "greedy", "choices"] = "sampled"
    engine: Embedded | Http | VLLM | Ray = field(default_factory=Embedded)
    memory: MemoryConfig | None = None
    group_size: int = 8
    prompts_per_step: int = 4
    steps: int = 60
    minutes: float | None = None
    seed: int = 0
    eval_every: int = 0
    patience: int = 0
    checkpoint_every: int = 10
    dtype: str | None = None
    device: str = devices.AUTO
    threads: int | None = None
    micro_tokens: int = 4096
    environment_seconds: float = 60.0
    reward_seconds: float = 600.0

    def __post_init__(self) -> None:
        check_kinds(self)
        check_numbers(self)
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads}: it is at least 1; none takes every core that is free to use.")
        if self.dtype not in (None, "float32", "bfloat16"):
            raise ValueError(f"dtype={self.dtype!r}: allowed are float32, bfloat16, and none for what fits.")
        if self.judgement not in JUDGEMENTS:
            raise ValueError(f"judgement={self.judgement!r}: allowed are {', '.join(JUDGEMENTS)}.")
        devices.check_device(self.device)
        if self.tasks and self.data:
            raise ValueError("tasks and data are both given: a run learns from one of them.")

    def resolve(self) -> TrainConfig:
        """The same config with nothing left open: data read, policy a Config, rewards named and weighted, number of
        threads, dtype and device chosen.

        Raises ValueError for a config that cannot run: no task, no reward, no such device, a contradiction.
        """
        tasks, held_out = offline.given_tasks(self)
        policy = chosen_policy(self.policy)
        device = devices.device_of(self.device, policy)
        resolved = replace(
            self,
            policy=policy,
            tasks=tasks,
            data=self.corpus,
            held_out=held_out,
            rewards=named_rewards(self.rewards, "rewards"),
            gold=named_rewards(self.gold, "gold"),
            baselines=named_baselines(self.baselines),
            dtype=self.dtype or default_dtype(policy, device),
            device=device,
            threads=threads_of(self.threads).number,
        )
        if resolved.memory is None:
            resolved = replace(resolved, memory=offline.default_memory(resolved))
        if not self.acts_with_newest and resolved.is_on_policy:
            resolved = replace(resolved, algorithm=corrected(resolved))
        refuse_contradictions(resolved)
        return resolved

    @property
    def staleness(self) -> int:
        """Most versions that an episode may be behind the policy that learns from it."""
        return self.engine.staleness if isinstance(self.engine, Ray) else 0

    @property
    def acts_with_newest(self) -> bool:
        """Whether what samples are the learner's own weights, as they are now: then its log-probs are the learner's."""
        return self.sampler.shares_weights and not self.staleness and not asks_over_http(self.engine)

    @property
    def reads(self) -> str:
        """The data that this run learns from."""
        return offline.read_by(self)

    @property
    def is_offline(self) -> bool:
        """Whether it learns from given data and plays no episode."""
        return self.reads in offline.KINDS

    @property
    def corpus(self) -> Corpus | None:
        """The corpus that it learns from, if it does."""
        return self.data if isinstance(self.data, Corpus) else None

    @property
    def extras(self) -> Extras:
        """What the algorithm requires of a step's episodes."""
        return self.algorithm.extras

    @property
    def is_on_policy(self) -> bool:
        """Whether it learns only from episodes of the current policy."""
        return self.algorithm.memory is Fresh.Config and not self.algorithm.off_policy

    def build(self) -> Parts:
        """Make every part. `self` is resolved."""
        assert self.memory is not None
        assert not isinstance(self.policy, str)
        assert self.dtype is not None
        policy, codec = self.policy.build(self.seed, self.dtype, self.device)
        if "value" in self.algorithm.heads:
            require_values(policy)
        memory = self.memory.build()
        engine: RolloutEngine
        if self.is_offline:
            engine = OfflineEngine()
            offline.fill(self, memory, policy, codec)
        elif isinstance(self.engine, Ray):
            from strop.scale.ray_engine import RayEngine

            engine = RayEngine(self, policy)
        elif isinstance(self.engine, OverHttp):
            from strop.scale.servers import engine_over_http

            engine = engine_over_http(self, policy, codec)
        else:
            engine = self.player(policy, codec)
        return Parts(
            policy=policy,
            engine=engine,
            tasks=source_of(self.tasks, self.seed),
            memory=memory,
            algorithm=self.algorithm.build(policy, self.sampling, self.micro_tokens, self.seed),
            codec=codec,
        )

    def player(self, policy: Policy, codec: Codec) -> EmbeddedEngine:
        """What plays this run's tasks in this process."""
        assert isinstance(self.engine, Embedded)
        return self.played_with(self.sampler.build(policy, codec), policy, codec, self.engine.batch)

    def played_with(self, sampler: Sampler, policy: Policy, codec: Codec, batch: Batching = "step") -> EmbeddedEngine:
        """The same with another sampler than the one of this config."""
        quota = self.group_size, self.prompts_per_step, self.extras
        return EmbeddedEngine(self.scene(policy, codec, gold=False), sampler, self.sampling, *quota, batch)

    def scene(self, policy: Policy, codec: Codec, gold: bool) -> Scene:
        """What playing this run's tasks needs; `gold` adds the gold scores as rewards of weight 0."""
        rewards = dict(named_rewards(self.rewards, "rewards"))
        if gold:
            rewards |= {GOLD + name: (reward, 0.0) for name, (reward, _) in named_rewards(self.gold, "gold").items()}
        return Scene(
            environment=self.environment,
            rewards=rewards,
            codec=codec,
            context=policy.context,
            seed=self.seed,
            environment_seconds=self.environment_seconds,
            reward_seconds=self.reward_seconds,
        )

    def judge(self, parts: Parts, step: int) -> tuple[list[Episode], dict[str, float]]:
        """Evaluate the policy on the held-out tasks: episodes, and metrics named held_out/..."""
        return judging.judge(self, parts, step)

    def judged_tasks(self, algorithm: Algorithm) -> tuple[list[Task], list[Task]]:
        """The held-out tasks whose pairs are compared, and those that are played."""
        pairs = [task for task in self.held_out if isinstance(algorithm, Comparer) and preferring.is_pair(task)]
        compared = {task.id for task in pairs}
        return pairs, [task for task in self.held_out if self.can_judge or task.id not in compared]

    @property
    def pays(self) -> bool:
        """Whether episodes can earn a reward, from `rewards` or from the environment."""
        return bool(self.rewards) or self.environment is not SingleTurn

    @property
    def can_judge(self) -> bool:
        """Whether anything scores the policy's texts: rewards, environment or gold."""
        return self.pays or bool(self.gold)

    @property
    def gold_weights(self) -> dict[str, float]:
        """The weight of each gold score in held_out/gold."""
        return {name: weight for name, (_, weight) in named_rewards(self.gold, "gold").items()}

    def placed_in(self, run: Path) -> TrainConfig:
        """This config in the run of that folder."""
        return self if self.corpus is None else replace(self, data=self.corpus.placed_in(run))

    def here(self) -> TrainConfig:
        """This resolved config on a device that this machine has: to read what another one trained."""
        assert not isinstance(self.policy, str)
        return replace(self, device=devices.device_here(self.device, self.policy))

    def set_up_torch(self) -> None:
        """Set torch's number of threads, and deterministic sums."""
        assert self.threads is not None
        set_up_torch(self.threads, self.device)
