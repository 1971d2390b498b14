"""Path consistency learning: multi-step soft Q-learning with a policy; on-policy or off-policy.

Nachum et al. 2017 (1702.08892) eq. 14-16 (PCL) and sec. 5.1 (Unified PCL); for language models Guo et al. 2021
(2106.07704). At the optimum of reward minus beta KL(pi || ref) this residual is 0 on every path, of any policy:

    C_t = - V(s_t) + sum_{k < n} discount^k [ r_{t+k} - beta log pi(a_{t+k}) / ref(a_{t+k}) ] + discount^n V-(s_{t+n})
    loss = mean_t C_t^2 / 2

V- is 0 after termination, and elsewhere comes from a target copy of the policy, without gradient; n is smaller where
the pick ends sooner, and `n_step` none goes to its end. The log-probs are those of temperature 1, whatever the run
samples with; ref is the policy at the start of the run.

With `unified` the logits are soft action values: Q(s, a) = beta (logit(a | s) - log ref(a | s)), V(s) = beta
logsumexp_b logit(b | s), pi = softmax(logits) = ref exp((Q - V) / beta). Then n = 1 is soft Q-learning, C = r +
discount V-(s') - Q(s, a). Without it V is the policy's value head, and pi and V are learnt side by side.

Differs from the paper: the entropy is relative to ref (a uniform ref is the paper's, up to beta ln |V| a step), and the
value at the end of a path comes from a copy, without gradient.
Degenerates: with discount 1, n_step none and a reward at the end, C is the residual of a whole answer,
r - V(s_0) - beta log pi(y) / ref(y), which is what DPO and A*-PO regress.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from strop.functional.aggregation import scored_actions
from strop.functional.bounds import check_at_least, check_positive
from strop.functional.distributions import PLAIN, gather, logprobs_of
from strop.functional.windows import window
from strop.learners.heads import decided, read_batch
from strop.learners.values import ValueBased, ValueConfig
from strop.types import Batch, Heads, Max, Mean, Metrics, Policy, Sampling, Want


class PathConsistency:
    """The squared residual of every path that begins at a decision of the batch."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(ValueConfig):
        """Options of PathConsistency.

        beta     weight of the KL to the policy at the start: larger keeps it closer
        n_step   decisions in a path; none goes to the end of the pick
        unified  V is computed from the logits, without a value head
        """

        discount: float = 1.0
        beta: float = 0.1
        n_step: int | None = None
        unified: bool = True

        def __post_init__(self) -> None:
            ValueConfig.__post_init__(self)
            check_positive("algorithm.beta", self.beta, hint="DQN is the method without entropy")
            check_at_least("algorithm.n_step", self.n_step, 1, none="goes to the end")

        @property
        def heads(self) -> frozenset[Want]:
            """The value head too unless unified."""
            return frozenset({"logits"}) if self.unified else frozenset({"logits", "value"})

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> ValueBased:
            method = PathConsistency(self, policy, micro_tokens)
            return ValueBased(self, method, micro_tokens, keep="episode", error="residual")

    def __init__(self, config: PathConsistency.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.start, self.copy = policy.reference(), policy.twin()
        self.networks, self.copies = (policy,), (self.copy,)

    def opinions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """log ref(a | s), and V- of the copy."""
        start_BT = read_batch(batch, self.micro_tokens, lambda micro: decided(self.start, micro, log_prob)["logprobs"])
        return start_BT, read_batch(batch, self.micro_tokens, lambda micro: self._read(self.copy, micro)["value"])

    def loss(self, micro: Batch, start_bt: Tensor, end_bt: Tensor) -> tuple[Tensor, Tensor, Metrics]:
        """C^2 / 2, and C, of the path that begins at each action."""
        read = self._read(self.policy, micro)
        term_bt = micro.rewards_BT - self.config.beta * (read["logprobs"] - start_bt)
        path = window(term_bt, micro, self.config.discount, self.config.n_step)
        residual_bt = path.bootstrapped(end_bt) - read["value"]
        return residual_bt.square() / 2, residual_bt, _metrics(residual_bt.detach()[scored_actions(micro)].abs())

    def _read(self, policy: Policy, micro: Batch) -> dict[str, Tensor]:
        """`logprobs` of the actions and `value` of their states, [B, T]."""

        def read(heads: Heads) -> dict[str, Tensor]:
            assert heads.logits_NV is not None
            value_N = self.config.beta * heads.logits_NV.logsumexp(dim=-1) if self.config.unified else heads.value_N
            assert value_N is not None
            return {"value": value_N, **log_prob(heads)}

        return decided(policy, micro, read, self.config.heads)


def log_prob(heads: Heads) -> dict[str, Tensor]:
    """log pi(a | s) at temperature 1."""
    assert heads.logits_NV is not None
    return {"logprobs": gather(logprobs_of(heads.logits_NV, PLAIN), heads.tokens_N)}


def _metrics(size_N: Tensor) -> Metrics:
    """The sizes of the residuals."""
    largest: Metrics = {"path/residual_max": Max(size_N.max().item())} if len(size_N) else {}
    return {"path/residual_mean": Mean(size_N.sum().item(), len(size_N))} | largest
