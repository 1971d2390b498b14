"""On-policy distillation: a teacher's log-probs grade every token that the student samples.

Agarwal et al. 2023 (GKD, 2306.13649) with samples of the student and the reverse KL; Gu et al. 2023 (2306.08543):

    A_t  = log teacher(y_t | y_<t) - log pi(y_t | y_<t)       per token, without gradient
    loss = - sum_it A_it log pi(y_it) / (number of tokens of the whole batch)

whose expected gradient is that of KL(pi || teacher) at each state that the student visits: the token-local reverse KL,
which ignores the effect of a token on later states. Unlike SFT on the teacher's texts, it trains the student on its own
mistakes.

Differs from the paper: the KL at each token is estimated from the sampled one, so the teacher's whole distribution is
never needed. Both are scored under the distribution that the run samples with, temperature included.
Degenerates: nothing is learnt in states that the student never visits. A sampled token of teacher probability 0 has an
infinite advantage, and the update stops with an error. A student that equals its teacher has a gradient of exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from strop.functional.aggregation import token_mean
from strop.functional.divergences import KL
from strop.functional.objectives import policy_gradient
from strop.learners.policy_gradient import PolicyGradient, PolicyGradientConfig
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Policy, PolicyConfig, Sampling, check_fields


def teacher_advantage(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """[B, T]: log teacher - log pi, which is minus the KL penalty of weight 1."""
    return -penalty_BT


class Distillation:
    """One gradient step per batch of the student's samples, without rewards."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of Distillation.

        optimizer  AdamW or SGD, with the learning rate
        teacher    the Config of a policy with the student's vocabulary; required
        dtype      the teacher's precision: float32 or bfloat16
        """

        reads: ClassVar[str] = "teacher"
        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-5))
        teacher: PolicyConfig | None = None
        dtype: str = "float32"

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            if self.teacher is None:
                raise ValueError(
                    "distillation needs a teacher: set algorithm.teacher to the Config of a policy, such as "
                    "strop.policies.Transformer.Config(model='folder', lora=None)."
                )
            device = "cpu" if self.teacher.computes_on == "cpu" else str(policy.parameters()[0].device)
            teacher, _ = self.teacher.build(0, self.dtype, device)
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
                advantage=teacher_advantage,
                weight=token_mean,
                loss=policy_gradient,
                reference=teacher,
            )
