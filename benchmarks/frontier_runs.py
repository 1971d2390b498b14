"""What the frontier benchmark trains and measures: the reference, and one run a (method, strength, seed)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from frontier_task import CONTEXT, MAX_TOKENS, PROMPT, WORDS, Judge, gold_judge, proxy_judge, reviews, standardised

import strop
from strop.algorithms.sft import SFT
from strop.batch import collate
from strop.functional.aggregation import sum_per_pick
from strop.hub.card import Card, Usage
from strop.hub.origin import FROM_SCRATCH
from strop.learners.logprobs import read_actions
from strop.memory import Dataset
from strop.planning.best_of_n import best_of_n_bound
from strop.policies.transformer import Transformer
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import AlgorithmConfig, Codec, Completion, End, Episode, Pick, Policy, Task, Turn

SAMPLING = strop.Sampling(temperature=1.0, max_tokens=MAX_TOKENS)
KL = strop.functional.KL
TASK = Task(id="review", prompt=PROMPT)
CHUNK = 2048
"""Completions that are drawn or scored together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything; a run's result depends on these, its method, its strength and its seed."""

    reviews: int = 8000
    pretraining_steps: int = 600
    standardised_on: int = 20_000
    reference_samples: int = 500_000
    steps: int = 60
    group_size: int = 8
    groups: int = 8
    pairs: int = 2048
    dpo_steps: int = 64
    dpo_pairs_a_step: int = 64
    measured: int = 2048
    measured_best: int = 512


QUICK = Sizes(
    reviews=200, pretraining_steps=20, standardised_on=500, reference_samples=2000, steps=2, group_size=4, groups=2,
    pairs=32, dpo_steps=2, dpo_pairs_a_step=8, measured=128, measured_best=16,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One point: `strength` is beta, or n of best-of-n."""

    method: str
    strength: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured point. Covariances are of one sample, over `num` samples; best-of-n's KL is a bound, without error."""

    method: str
    strength: float
    seed: int
    num: int
    proxy: float
    gold: float
    kl: float
    proxy_variance: float
    gold_variance: float
    kl_variance: float
    covariance: float
    length: float


# ------------------------------------------------------------ the reference


def pretrain(home: Path, sizes: Sizes) -> Path:
    """The reference as a Hugging Face folder: a small transformer from scratch, by SFT on reviews of both labels."""
    folder = home / "reference"
    if folder.is_dir():
        return folder
    texts, _ = reviews(sizes.reviews, seed=0)
    config = strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS, num_layers=2, width=64, num_heads=4, context=CONTEXT),
        tasks=[Task(id=str(i), prompt=PROMPT, answer=text) for i, text in enumerate(texts)],
        algorithm=SFT.Config(optimizer=strop.optimizer.AdamW(lr=2e-3, warmup_steps=20)),
        memory=Dataset.Config(size=64),
        sampling=SAMPLING,
        steps=sizes.pretraining_steps,
        checkpoint_every=sizes.pretraining_steps,
        threads=1,
    )
    shutil.rmtree(home / "pretraining", ignore_errors=True)
    policy, codec, _ = strop.train(config, home / "pretraining").actor()
    card = Card(
        title="reference",
        origin=FROM_SCRATCH,
        algorithm="SFT",
        command="",
        steps=config.steps,
        verdicts=(),
        strop=strop.__version__,
        usage=Usage(prompt=PROMPT, systems=(), sampling=SAMPLING),
    )
    assert isinstance(policy, Transformer)
    policy.export(codec, folder, card)
    return folder


def load(folder: Path) -> tuple[Policy, Codec]:
    """The reference, all of whose weights could train."""
    return Transformer.Config(model=str(folder), lora=None).build(0, "float32")


def judges(folder: Path, num: int) -> tuple[Judge, Judge]:
    """Proxy and gold, both of mean 0 and standard deviation 1 over `num` completions of the reference."""
    texts = [text for _, text in written(*load(folder), num, "standardise", 0)]
    return standardised(proxy_judge(), texts), standardised(gold_judge(), texts)


# ------------------------------------------------------------ sampling


def written(policy: Policy, codec: Codec, num: int, purpose: str, seed: int) -> Iterator[tuple[Completion, str]]:
    """`num` completions and their texts, chunk by chunk."""
    sampler, prompt = LocalSampler(policy, codec.stop, batch=CHUNK), codec.start(PROMPT)
    for first in range(0, num, CHUNK):
        size = min(CHUNK, num - first)
        dice = stream(seed, f"frontier/{purpose}", first)
        for completion in sampler.sample([prompt] * size, SAMPLING, [dice] * size):
            yield completion, codec.decode(completion.tokens)


def reference_rewards(home: Path, folder: Path, proxy: Judge, sizes: Sizes) -> torch.Tensor:
    """The proxy of `reference_samples` completions of the reference [N]: what the frontier is estimated from."""
    file = home / "reference_rewards.npy"
    if not file.is_file():
        drawn = written(*load(folder), sizes.reference_samples, "reference", 0)
        np.save(file, np.array([proxy.score(text) for _, text in drawn]))
    return torch.from_numpy(np.load(file))


# ------------------------------------------------------------ the points


def run(job: Job, home: Path, folder: Path, proxy: Judge, gold: Judge, sizes: Sizes) -> Row:
    """Train (or choose) with the proxy, then measure on completions that nothing learnt from."""
    torch.set_num_threads(1)
    if job.method == "best of n":
        return best_of_n(job, folder, proxy, gold, sizes)
    directory = home / "runs" / f"{job.method}-{job.strength:g}-{job.seed}"
    shutil.rmtree(directory, ignore_errors=True)  # what a killed pass left of this run
    policy, codec, _ = strop.train(config_of(job, folder, proxy, sizes), directory).actor()
    return measured(job, policy, codec, folder, proxy, gold, sizes.measured)


def config_of(job: Job, folder: Path, proxy: Judge, sizes: Sizes) -> strop.TrainConfig:
    """The run as a user would write it."""
    is_dpo = job.method == "DPO"
    steps = sizes.dpo_steps if is_dpo else sizes.steps
    return strop.TrainConfig(
        policy=Transformer.Config(model=str(folder), lora=None, value_head=job.method == "PPO"),
        tasks=pairs(folder, proxy, sizes.pairs, job.seed) if is_dpo else [TASK],
        rewards={} if is_dpo else {"proxy": proxy},
        algorithm=algorithm_of(job.method, job.strength),
        memory=Dataset.Config(size=2 * sizes.dpo_pairs_a_step) if is_dpo else None,
        sampling=SAMPLING,
        group_size=sizes.group_size,
        prompts_per_step=sizes.groups,
        steps=steps,
        checkpoint_every=steps,
        seed=job.seed,
        threads=1,
    )


def algorithm_of(method: str, beta: float) -> AlgorithmConfig:
    """Each with beta as its KL's weight: k1 in the reward, or DPO's own."""
    optimizer, kl = strop.optimizer.AdamW(lr=1e-3), KL(weight=beta)
    if method == "PPO":
        return strop.algorithms.PPO.Config(optimizer=optimizer, kl=kl, epochs=2)
    if method == "RLOO":
        return strop.algorithms.RLOO.Config(optimizer=optimizer, kl=kl)
    if method == "GRPO":
        return strop.algorithms.GRPO.Config(optimizer=optimizer, kl=kl)
    return strop.algorithms.DPO.Config(optimizer=optimizer, beta=beta)


def pairs(folder: Path, proxy: Judge, num: int, seed: int) -> list[Task]:
    """Pairs of the reference, labelled by the proxy as Bradley and Terry say: p(first is better) = sigmoid(r1 - r2)."""
    policy, codec = load(folder)
    texts = [text for _, text in written(policy, codec, 2 * num, "pairs", seed)]
    dice = stream(seed, "frontier/labels")
    tasks = []
    for i, (one, other) in enumerate(zip(texts[::2], texts[1::2], strict=True)):
        is_better = dice.random() < 1 / (1 + np.exp(proxy.score(other) - proxy.score(one)))
        chosen, rejected = (one, other) if is_better else (other, one)
        if chosen != rejected:
            tasks.append(Task(id=str(i), prompt=PROMPT, data={"chosen": chosen, "rejected": rejected}))
    return tasks


def best_of_n(job: Job, folder: Path, proxy: Judge, gold: Judge, sizes: Sizes) -> Row:
    """The best by the proxy of each n completions of the reference."""
    n = int(job.strength)
    drawn = [text for _, text in written(*load(folder), n * sizes.measured_best, f"best-of-{n}", job.seed)]
    best = [max(drawn[i : i + n], key=proxy.score) for i in range(0, len(drawn), n)]
    proxy_N, gold_N = np.array([proxy.score(text) for text in best]), np.array([gold.score(text) for text in best])
    return row(job, proxy_N, gold_N, np.full(len(best), best_of_n_bound(n)), np.array([len(t.split()) for t in best]))


@torch.no_grad()
def measured(job: Job, policy: Policy, codec: Codec, folder: Path, proxy: Judge, gold: Judge, num: int) -> Row:
    """Fresh completions of the policy: proxy, gold, and log pi(y) - log ref(y), whose mean is the sequence KL."""
    drawn = list(written(policy, codec, num, "measure", job.seed))
    reference, _ = load(folder)
    prompt = codec.start(PROMPT)
    log_ratio: list[float] = []
    for first in range(0, num, CHUNK):
        some = drawn[first : first + CHUNK]
        picks = tuple(
            Pick(Episode(str(i), TASK, i, (Turn(prompt, completion, text),), (), End.TERMINATED))
            for i, (completion, text) in enumerate(some)
        )
        batch = collate(picks, reference.layout)
        reference_BT = read_actions(reference, batch, SAMPLING)["logprobs"].double()
        gap_BT = torch.where(batch.action_BT, batch.logprobs_BT - reference_BT, 0.0)
        log_ratio += sum_per_pick(gap_BT, batch).tolist()
    texts = [text for _, text in drawn]
    proxy_N, gold_N = np.array([proxy.score(text) for text in texts]), np.array([gold.score(text) for text in texts])
    return row(job, proxy_N, gold_N, np.array(log_ratio), np.array([len(c.tokens) for c, _ in drawn]))


def row(job: Job, proxy_N: np.ndarray, gold_N: np.ndarray, kl_N: np.ndarray, length_N: np.ndarray) -> Row:
    """Means and covariances of the samples."""
    return Row(
        **asdict(job),
        num=len(proxy_N),
        proxy=float(proxy_N.mean()),
        gold=float(gold_N.mean()),
        kl=float(kl_N.mean()),
        proxy_variance=float(proxy_N.var(ddof=1)),
        gold_variance=float(gold_N.var(ddof=1)),
        kl_variance=float(kl_N.var(ddof=1)),
        covariance=float(np.cov(proxy_N, kl_N)[0, 1]),
        length=float(length_N.mean()),
    )
