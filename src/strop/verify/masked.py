"""Masked language modelling: against the loss of each hidden token alone, and the entropy of a known source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from strop.algorithms.masked_lm import MaskedLM
from strop.learners.blanks import Blanks
from strop.optimizer import SGD, AdamW
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.scratch import Scratch
from strop.types import Batch, Heads, Reduce, Sampling, Tokens
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn

WORDS = ("a", "b", "c", "d")
NUM, LENGTH, HIDDEN = len(WORDS), 12, 2
"""Of the source: its words, the words of a text, and how many of them are hidden (15 %, rounded)."""
NEAR, CLOSE = 2e-6, 0.12
"""Of sums in float32 in another order; and in nats a word, how near to the source a small model comes: a model that
sees nothing loses 0.50."""


def check_masked_lm() -> Iterator[Gap]:
    """Masked LM: the mean over all hidden tokens of -log p, each by a forward pass of its text alone."""
    texts = [(0, 1, 2, 3, 0, 0, 1), (2, 2), (3, 1, 0), (1, 3, 3, 2, 0, 1, 2, 0, 3, 1)]
    for micro_tokens, case in ((4096, "in one batch"), (1, "in micro-batches")):
        policy = _policy(0, width=8)
        watched, before = _Watched(policy), [p.detach().clone() for p in policy.parameters()]
        config: Any = MaskedLM.Config(optimizer=SGD(lr=1.0), share=0.3, masked=1.0, random=0.0)
        loss = config.build(watched, Sampling(), micro_tokens).update(_batch(texts)).metrics["optimizer/loss"].value
        moved = [old - new.detach() for old, new in zip(before, policy.parameters(), strict=True)]
        with torch.no_grad():
            for parameter, old in zip(policy.parameters(), before, strict=True):
                parameter.copy_(old)
        wanted = _slowly(policy, texts, watched.rows)
        wanted.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in policy.parameters() if p.grad is not None]
        gaps = [(step - grad).abs().max().item() for step, grad in zip(moved, gradients, strict=True)]
        yield Gap(max(abs(loss - wanted.item()), *gaps), NEAR, f"loss and gradient {case}")


def check_masked_encoder() -> Iterator[Gap]:
    """masked encoder: texts of unequal lengths give what each gives alone, in sampling and in the loss."""
    policy, codec = _reader(actions=("x", "y", "z"), value_head=True)
    prompts = [codec.start(text) for text in ("a b c d a a", "b", "c c d")]
    together_BV = policy.prefill(prompts)[0]
    alone_BV = torch.cat([policy.prefill([prompt])[0] for prompt in prompts])
    yield Gap((together_BV - alone_BV).abs().max().item(), NEAR, "logits of actions while sampling")
    episodes = [episode(turn(prompt, (1,)), group=i) for i, prompt in enumerate(prompts)]
    read_BV = _read(policy, batch_of(*episodes, layout="per_turn"))
    yield Gap((read_BV[:, :-1] - together_BV).abs().max().item(), NEAR, "the same logits in the loss")
    apart_BV = torch.cat([_read(policy, batch_of(one, layout="per_turn")) for one in episodes])
    yield Gap((read_BV - apart_BV).abs().max().item(), NEAR, "logits and values in the loss")


def check_masked_lm_entropy() -> Gap:
    """Masked LM: the entropy of a word given both sides, the floor of its loss, by joint probabilities and by texts."""
    rng, source = np.random.default_rng(1), Source(0)
    texts, hidden = source.texts(3000, rng), [sorted(rng.permutation(LENGTH)[:HIDDEN].tolist()) for _ in range(3000)]
    told = [source.posterior(text, places) for text, places in zip(texts, hidden, strict=True)]
    entropy = np.mean([-(p_HW * np.log(p_HW)).sum(-1).mean() for p_HW in told])
    return Gap(abs(float(entropy) - source.floor), 4 * 0.0036)  # four standard errors of 3,000 texts


def learn_masked_lm(seed: int) -> Gap:
    """Masked LM: the posterior of a word of a Markov chain given both sides; the divergence in nats a word."""
    return Gap(lost(trained(Source(0), seed), Source(0)), CLOSE)


class Source:
    """A Markov chain of four words, far from uniform, that has run for long before a text begins."""

    def __init__(self, seed: int) -> None:
        self.next_WW = np.random.default_rng(seed).dirichlet([0.4] * NUM, NUM) * 0.98 + 0.02 / NUM
        self.share_W = np.linalg.matrix_power(self.next_WW, 1000)[0]

    def texts(self, num: int, rng: np.random.Generator) -> list[Tokens]:
        """So many texts, each word by inverse transform."""
        upto_WW, word_B = self.next_WW.cumsum(1), rng.choice(NUM, p=self.share_W, size=num)
        columns = [word_B]
        while len(columns) < LENGTH:
            columns.append((rng.random((num, 1)) > upto_WW[columns[-1], :-1]).sum(1))
        return [tuple(text) for text in np.stack(columns, axis=1).tolist()]

    def posterior(self, text: Sequence[int], hidden: Sequence[int]) -> np.ndarray:
        """P(word at each hidden place | the other words) [H, W], by sums over the words that are not seen."""
        told = []
        for t in hidden:
            left = next((s for s in range(t - 1, -1, -1) if s not in hidden), None)
            right = next((s for s in range(t + 1, len(text)) if s not in hidden), None)
            p_W = self.share_W if left is None else np.linalg.matrix_power(self.next_WW, t - left)[text[left]]
            if right is not None:
                p_W = p_W * np.linalg.matrix_power(self.next_WW, right - t)[:, text[right]]
            told.append(p_W / p_W.sum())
        return np.array(told)

    @property
    def floor(self) -> float:
        """The entropy in nats of a hidden word given all words that are seen, over all sets of hidden places."""
        sets = list(combinations(range(LENGTH), HIDDEN))
        return float(np.mean([self._entropy(t, hidden) for hidden in sets for t in hidden]))

    def _entropy(self, t: int, hidden: Sequence[int]) -> float:
        """H(X_t | the nearest seen words), by their joint probabilities."""
        left = next((s for s in range(t - 1, -1, -1) if s not in hidden), None)
        right = next((s for s in range(t + 1, LENGTH) if s not in hidden), None)
        before_LW = np.diag(self.share_W) @ np.linalg.matrix_power(self.next_WW, t - (t if left is None else left))
        if left is None:
            before_LW = before_LW.sum(0, keepdims=True)
        after_WR = np.ones((NUM, 1)) if right is None else np.linalg.matrix_power(self.next_WW, right - t)
        joint_LWR = before_LW[:, :, None] * after_WR[None]
        given_LWR = joint_LWR / joint_LWR.sum(1, keepdims=True)
        return float(-(joint_LWR * np.log(given_LWR)).sum())


def trained(source: Source, seed: int, updates: int = 400) -> MaskedEncoder:
    """A small encoder after so many updates on 128 texts, all hidden words by the mask."""
    policy = _policy(seed, width=32)
    adam = AdamW(lr=5e-3, betas=(0.9, 0.98), warmup_steps=100)
    algorithm = MaskedLM.Config(optimizer=adam, masked=1.0, random=0.0).build(policy, Sampling(), 4096, seed)
    rng = np.random.default_rng(seed)
    for _ in range(updates):
        algorithm.update(_batch(source.texts(128, rng)))
    return policy


@torch.no_grad()
def lost(policy: MaskedEncoder, source: Source, num: int = 400) -> float:
    """The mean divergence of the model from the source's posterior on texts that it never saw: it is never below 0."""
    rng = np.random.default_rng(99)
    texts = source.texts(num, rng)
    blanks = Blanks.of([[(text, (1.0,) * LENGTH)] for text in texts], policy.marks).hide(policy.marks, rng, 0.15)
    vectors_BTH = policy.encode(blanks.read_BT, blanks.length_B, blanks.type_BT)
    said: list[Tensor] = []

    def keep(heads: Heads) -> dict[str, Tensor]:
        assert heads.logits_NV is not None
        said.append(heads.logits_NV.double().log_softmax(-1)[:, :NUM])
        return {"": heads.tokens_N}

    policy.words(vectors_BTH[blanks.hidden_BT], blanks.token_BT[blanks.hidden_BT], keep)
    hidden = [(row_T.nonzero()[:, 0] - 1).tolist() for row_T in blanks.hidden_BT]
    true_NW = np.concatenate([source.posterior(text, places) for text, places in zip(texts, hidden, strict=True)])
    return float((true_NW * (np.log(true_NW) - torch.cat(said).numpy())).sum(-1).mean())


class _Watched:
    """An encoder of which is kept what it reads, text by text."""

    def __init__(self, policy: MaskedEncoder) -> None:
        self.policy, self.rows, self.lock = policy, list[list[int]](), policy.lock
        self.marks, self.fills, self.width, self.context = policy.marks, policy.fills, policy.width, policy.context

    def encode(self, tokens_BT: Tensor, length_B: Tensor, type_BT: Tensor) -> Tensor:
        self.rows += [row[:n] for row, n in zip(tokens_BT.tolist(), length_B.tolist(), strict=True)]
        return self.policy.encode(tokens_BT, length_B, type_BT)

    def words(self, vectors_NH: Tensor, tokens_N: Tensor, reduce: Reduce) -> dict[str, Tensor]:
        return self.policy.words(vectors_NH, tokens_N, reduce)

    def parameters(self) -> list[Parameter]:
        return self.policy.parameters()


def _reader(**given: Any) -> tuple[MaskedEncoder, Any]:
    """A classifier far from where it starts: a wrong mask or position shows."""
    policy, codec = Scratch(words=WORDS, shape="bert", width=8, num_heads=2, context=16, **given).build(0, "float32")
    assert isinstance(policy, MaskedEncoder)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return policy, codec


@torch.no_grad()
def _read(policy: MaskedEncoder, batch: Batch) -> Tensor:
    """Logits and value [N, V + 1] at each decision."""
    found: list[Tensor] = []

    def keep(heads: Heads) -> dict[str, Tensor]:
        assert heads.logits_NV is not None
        assert heads.value_N is not None
        found.append(torch.cat([heads.logits_NV, heads.value_N.unsqueeze(1)], dim=1))
        return {"": heads.tokens_N}

    policy.heads(batch, keep, frozenset({"logits", "value"}))
    return torch.cat(found)


def _policy(seed: int, width: int) -> MaskedEncoder:
    policy, _ = Scratch(words=WORDS, shape="bert", width=width, num_heads=2, context=16).build(seed, "float32")
    assert isinstance(policy, MaskedEncoder)
    return policy


def _batch(texts: Sequence[Tokens]) -> Batch:
    """The texts, of which every word can be hidden."""
    return batch_of(*(episode(turn((NUM,), text, None), group=i) for i, text in enumerate(texts)), layout="per_turn")


def _slowly(policy: MaskedEncoder, texts: Sequence[Tokens], rows: Sequence[Sequence[int]]) -> Tensor:
    """The loss, by transformers' forward pass of one text for each hidden token."""
    mask, found = policy.marks.mask, []
    for row in rows:
        (text,) = [text for text in texts if _fits(row[1:-1], text, mask)]
        for place, token in enumerate(text, 1):
            if row[place] == mask:
                logits_TV = policy.model(input_ids=torch.tensor([row])).logits[0]
                found.append(-logits_TV[place].log_softmax(-1)[token])
    return torch.stack(found).mean()


def _fits(read: Sequence[int], text: Tokens, mask: int) -> bool:
    """Whether this is the text, with tokens hidden."""
    return len(read) == len(text) and all(a in (b, mask) for a, b in zip(read, text, strict=True))
