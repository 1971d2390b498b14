"""Masked language modelling: some tokens are hidden, and the model says from both sides what stood there.

Devlin et al. 2019 (1810.04805), section 3.1, Task 1; the masks are drawn anew each time a text is read, as in Liu et
al. 2019 (1907.11692), section 4.1. Of the tokens of each text `share` are chosen; of these `masked` become the mask,
`random` become another token, and the others stay. With C the chosen tokens of the whole batch:

    loss = - 1/|C| sum_{t in C} log p(x_t | the text with its hidden tokens)

With `next_sentence` (Task 2) a text is two segments, [CLS] A [SEP] B [SEP]: a chunk is cut in the middle, and with
probability 1/2 its second half gives way to that of another one of the batch. A linear layer reads from the first
vector whether B followed A in the text, and the mean of -log p(that) over the texts is added to the loss.

The actions of a demonstration can be hidden, but not special tokens; its prompt is read. Draws depend on the run's seed
and the number of the update alone, so a resumed run hides the same tokens.

Differs from the paper: texts are chunks of one length, and may hold the end of a document; a random token is never a
special one. The layer of `next_sentence` has no hidden layer below it, starts at 0, and belongs to the algorithm: what
is trained next does not get it.
Degenerates: one text a batch teaches `next_sentence` nothing, since B always follows A. On a source without memory
nothing can be learnt but the shares of the tokens: no loss is below the entropy of a token given all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from strop.functional.aggregation import scored_actions
from strop.functional.bounds import check_positive_share, check_share
from strop.functional.masking import MASKED, RANDOM, SHARE
from strop.learners.blanks import Blanks, Fills, Segment, bare, fill
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.policies._texts import Marks
from strop.policies._weights import zero_head
from strop.streams import stream
from strop.types import AlgorithmConfig, Batch, Mean, Metrics, Policy, Sampling, State, Term, Update, Want, check_fields


def masked_loss(logprobs_N: Tensor, weight_N: Tensor, num_chosen: int) -> Tensor:
    """-sum w log p over the chosen tokens of a micro-batch, of `num_chosen` in the whole batch."""
    return -(weight_N.to(logprobs_N.dtype).to(logprobs_N.device) * logprobs_N).sum() / num_chosen


class MaskedLM:
    """One gradient step per batch of texts, on a policy that fills in hidden tokens."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of MaskedLM.

        optimizer      AdamW or SGD, with the learning rate
        share          of a text's tokens those that are chosen, at least one
        masked         of the chosen tokens those that become the mask
        random         of the chosen tokens those that become another one
        next_sentence  learns too whether two segments followed each other
        """

        reads: ClassVar[str] = "demonstrations"
        memory: ClassVar[type] = Dataset.Config
        heads: ClassVar[frozenset[Want]] = frozenset()
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-4))
        share: float = SHARE
        masked: float = MASKED
        random: float = RANDOM
        next_sentence: bool = False

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive_share("algorithm.share", self.share)
            check_share("algorithm.masked", self.masked)
            check_share("algorithm.random", self.random, hint="what masked leaves")
            if self.masked + self.random > 1.0:
                raise ValueError(
                    f"algorithm.masked={self.masked:g} and algorithm.random={self.random:g} are shares of the chosen "
                    "tokens: together at most 1. What they leave stays as it is."
                )

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> MaskedLM:
            return MaskedLM(self, policy, micro_tokens, seed)

    def __init__(self, config: MaskedLM.Config, policy: Policy, micro_tokens: int, seed: int) -> None:
        if not isinstance(policy, Fills) or not policy.fills:
            raise ValueError(
                f"MaskedLM teaches a masked encoder to fill in hidden tokens, and this policy, a "
                f"{type(policy).__name__}, does something else. Take strop.policies.MaskedEncoder.Config(model=...) or "
                "Scratch(shape='bert'), without actions and value_head; or algorithm=strop.algorithms.SFT.Config()."
            )
        self.config, self.fills, self.micro_tokens, self.seed = config, policy, micro_tokens, seed
        parameters = policy.parameters()
        self.follows = zero_head(policy.width, 1, parameters[0].device) if config.next_sentence else None
        own = [] if self.follows is None else list(self.follows.parameters())
        self.optimizer = config.optimizer.build([*parameters, *own], policy.lock)

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        rng, config = stream(self.seed, "masked", self.optimizer.num_steps), self.config
        texts = segments(batch, self.fills.marks)
        followed_B = torch.ones(len(texts), dtype=torch.bool)
        pairs = [[text] for text in texts]
        if config.next_sentence:
            pairs, followed_B = halves(texts, rng)
        blanks = Blanks.of(pairs, self.fills.marks)
        hidden = blanks.hide(self.fills.marks, rng, config.share, config.masked, config.random)
        return self.optimizer.step(batch, self._terms(hidden, followed_B))

    def _terms(self, blanks: Blanks, followed_B: Tensor) -> Iterator[Term]:
        num_chosen = max(int(blanks.hidden_BT.sum()), 1)
        for micro, rows in blanks.split(self.micro_tokens):
            logprobs_N, likeliest_N, first_bH = fill(self.fills, micro)
            stood_N = micro.token_BT[micro.hidden_BT]
            num_right = int((likeliest_N.cpu() == stood_N).sum())
            metrics: Metrics = {
                "masked/nll": Mean(-logprobs_N.detach().cpu().double().sum().item(), len(stood_N)),
                "masked/accuracy": Mean(num_right, len(stood_N)),
            }
            loss = masked_loss(logprobs_N, micro.weight_BT[micro.hidden_BT], num_chosen)
            if self.follows is not None:
                logit_b = self.follows(first_bH).squeeze(1)
                nll, more = _next_sentence(logit_b, followed_B[rows].to(logit_b.device))
                loss, metrics = loss + nll / len(followed_B), metrics | more
            yield Term(loss, metrics)

    def state_dict(self) -> State:
        follows = {} if self.follows is None else {"follows": self.follows.state_dict()}
        return {"optimizer": self.optimizer.state_dict(), **follows}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        if self.follows is not None:
            self.follows.load_state_dict(state["follows"])


def segments(batch: Batch, marks: Marks) -> list[Segment]:
    """The text of each row up to its last action, with the weight of each token: 0 for what is only read. A row of
    which nothing can be learnt is left out."""
    scored_BT = scored_actions(batch)
    weight_BT = torch.where(scored_BT, batch.weight_B.unsqueeze(1), 0.0)
    last_B = torch.where(scored_BT, torch.arange(scored_BT.shape[1]), -1).amax(dim=1).tolist()
    rows = zip(batch.tokens_BT.tolist(), weight_BT.tolist(), last_B, strict=True)
    return [bare(tokens[: last + 1], weights[: last + 1], marks) for tokens, weights, last in rows if last >= 0]


def halves(texts: list[Segment], rng: np.random.Generator) -> tuple[list[list[Segment]], Tensor]:
    """Each text as its two halves, and bool [B] whether the second one is its own: with probability 1/2 it is that of
    another text, all others being equally likely."""
    num = len(texts)
    followed = (rng.random(num) < 0.5) | (num == 1)
    other = (np.arange(num) + rng.integers(1, max(num, 2), size=num)) % num
    pairs = []
    for i, text in enumerate(texts):
        first, _ = _cut(text)
        _, second = _cut(texts[i] if followed[i] else texts[other[i]])
        pairs.append([first, second])
    return pairs, torch.from_numpy(followed)


def _cut(text: Segment) -> tuple[Segment, Segment]:
    tokens, weights = text
    middle = len(tokens) // 2
    return (tokens[:middle], weights[:middle]), (tokens[middle:], weights[middle:])


def _next_sentence(logit_b: Tensor, followed_b: Tensor) -> tuple[Tensor, Metrics]:
    """The sum of -log p over these texts, and its metrics."""
    nll = binary_cross_entropy_with_logits(logit_b, followed_b.to(logit_b.dtype), reduction="sum")
    num_right = int(((logit_b > 0) == followed_b).sum())
    return nll, {
        "masked/next_nll": Mean(nll.detach().item(), len(followed_b)),
        "masked/next_accuracy": Mean(num_right, len(followed_b)),
    }
