"""Every algorithm of the folder, found by module: a new file is covered by every test that uses these."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import torch

import strop.algorithms
from strop.algorithms.counting import Counting
from strop.algorithms.masked_lm import MaskedLM
from strop.algorithms.maxrl import MaxRL
from strop.batch import collate
from strop.functional.advantages import group_mean
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.types import Batch, Episode, PolicyConfig, Sampling, Source
from strop.verify.awkward import picks


def algorithms() -> list[Any]:
    """The algorithm classes: those with a nested Config that builds one."""
    found = []
    for module in pkgutil.iter_modules(strop.algorithms.__path__):
        loaded = importlib.import_module(f"strop.algorithms.{module.name}")
        for _, kind in inspect.getmembers(loaded, inspect.isclass):
            if kind.__module__ == loaded.__name__ and hasattr(getattr(kind, "Config", None), "build"):
                found.append(kind)
    return found


def is_tabular(kind: Any) -> bool:
    """Q-learning corrects a table in place and has no optimiser."""
    return kind in TRAINED and "optimizer" not in {field.name for field in fields(kind.Config)}


def is_off_policy(kind: Any) -> bool:
    """It bootstraps from action values, learns from anybody's actions and needs no log-probs of them."""
    return bool(kind.Config().off_policy)


TRAINED = [kind for kind in algorithms() if kind not in (Counting, MaskedLM)]
"""Those that move the parameters of any policy; Counting and MaskedLM have tests of their own."""
GRADIENT = [kind for kind in TRAINED if not is_tabular(kind)]
ACTOR_CRITIC = [kind for kind in GRADIENT if "critic" in {field.name for field in fields(kind.Config)}]
VALUE_BASED = [kind for kind in GRADIENT if is_off_policy(kind)]
ON_POLICY = [kind for kind in GRADIENT if kind.Config.reads == "tasks" and not is_off_policy(kind)]

CORE = {"REINFORCE", "GRPO", "PPO", "DQN", "DPO", "SFT"}
"""One of each family: what the fast suite runs of a test over all algorithms. CI runs the rest."""


def every(kinds: Sequence[Any]) -> list[Any]:
    """The kinds as parameters of a test, those outside CORE marked `matrix`."""
    return [kind if kind.__name__ in CORE else pytest.param(kind, marks=pytest.mark.matrix) for kind in kinds]


def as_baseline(episode: Episode) -> Episode:
    """The same episode played greedily: ReMax takes its return off the others'; other algorithms see no difference."""
    return replace(episode, source=Source.GREEDY)


def suited(kind: Any, batch: Batch) -> Batch:
    """The batch as the algorithm takes it. MaxRL knows right and wrong alone: right is what beats its group's mean."""
    if kind is not MaxRL:
        return batch
    right_E = (group_mean(batch.return_E, batch.group_E) > 0).double()
    return replace(batch, return_E=torch.where(batch.return_E.isnan(), batch.return_E, right_E))


def lesson(kind: Any) -> Batch:
    """Edge-case episodes of two groups, of tokens below 4, with a greedy one in each, as the algorithm takes them."""
    some = [replace(one, episode=as_baseline(one.episode)) if i in (0, 7) else one for i, one in enumerate(picks()[:9])]
    return suited(kind, collate(tuple(some), "joined"))


def configured(kind: Any, **given: Any) -> Any:
    """The algorithm's Config with those of the given fields that it has (DAPO has no KL)."""
    names = {field.name for field in fields(kind.Config)}
    return kind.Config(**{name: value for name, value in given.items() if name in names})


@dataclass(frozen=True)
class Elsewhere(PolicyConfig):
    """The Config of a teacher: a copy of the policy whose parameters stand elsewhere."""

    policy: Any

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Any, None]:
        teacher, generator = self.policy.twin(), torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in teacher.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.add_(0.3 * noise.to(parameter.device))
        return teacher, None


def learner(
    kind: Any, policy: Any, micro_tokens: int = 4096, optimizer: Any = None, kl: KL | None = None, **more: Any
) -> Any:
    """The algorithm with SGD(lr=1), and the given KL where it has one and a teacher where it has one.

    With a critic the KL stands in the reward."""
    if kind in ACTOR_CRITIC and kl is not None:
        kl = KL(weight=kl.weight)
    given: dict[str, Any] = {"optimizer": optimizer or SGD(lr=1.0), "epochs": 1, "teacher": Elsewhere(policy)}
    given |= ({} if kl is None else {"kl": kl}) | more
    return configured(kind, **given).build(policy, Sampling(temperature=0.8, max_tokens=8), micro_tokens)
