"""On-policy distillation: the student writes, and a teacher grades every token.

Agarwal et al. 2023 (GKD, 2306.13649) with samples of the student and the reverse KL; Gu et al. 2023 (2306.08543):

    A_t  = log teacher(y_t | y_<t) - log pi(y_t | y_<t)       one number a token, an opinion without gradient
    loss = - sum_it A_it log pi(y_it) / (number of tokens of the whole batch)

whose expected gradient is that of KL(pi || teacher) at each state that the student visits: the token-local reverse KL,
in which a token answers for itself and not for where it leads. Unlike SFT on the teacher's texts it teaches the student
in its own mistakes.

Differs from the paper: the KL of each token is estimated by the one that was sampled, so the teacher's whole
distribution is never needed. Both are scored under the distribution that the run samples with, temperature included.
Degenerates: where the student never goes nothing is learnt; a teacher that gives a sampled token probability 0 has an
infinite advantage, and the update stops in words. A student that equals its teacher has a gradient of exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from strop.functional.aggregation import token_mean
from strop.functional.divergences import KL
from strop.functional.objectives import policy_gradient
from strop.learners.policy_gradient import PolicyGradient, PolicyGradientConfig
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Policy, Sampling, check_fields


@runtime_checkable
class TeacherConfig(Protocol):
    """What `teacher` may be: the Config of any policy that reads the same token ids."""

    def build(self, seed: int, dtype: str) -> tuple[Policy, Any]: ...


def nearness(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """[B, T]: log teacher - log pi. The KL to the teacher is all that pays."""
    return -penalty_BT


class Distillation:
    """One gradient step a batch of the student's samples. Needs no reward."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        teacher    the Config of a policy with the student's vocabulary; it has to be given
        dtype      what the teacher computes in: float32 or bfloat16
        """

        reads: ClassVar[str] = "teacher"
        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-5))
        teacher: TeacherConfig | None = None
        dtype: str = "float32"

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            if self.teacher is None:
                raise ValueError(
                    "distillation needs a teacher: set algorithm.teacher to the Config of a policy, such as "
                    "strop.policies.Transformer.Config(model='folder', lora=None)."
                )
            teacher, _ = self.teacher.build(0, self.dtype)
            if teacher.vocabulary != policy.vocabulary:
                raise ValueError(
                    f"the teacher has {teacher.vocabulary} tokens and the student {policy.vocabulary}: distillation "
                    "compares the same token ids. Take models that share a tokenizer."
                )
            return PolicyGradient(
                "distillation",
                PolicyGradientConfig(optimizer=self.optimizer, kl=KL(weight=1.0)),
                policy,
                sampling,
                micro_tokens,
                advantage=nearness,
                weight=token_mean,
                loss=policy_gradient,
                reference=teacher,
            )
