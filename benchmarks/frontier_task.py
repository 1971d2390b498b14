"""The world of the frontier benchmark: invented reviews, and two judges of how kind they are.

A review is two or three clauses. Its label, kind or unkind, chooses the adjectives and verbs; nouns and adverbs say
nothing. So the log-odds of a label given a text are known by construction, a sum over its words: gold. The proxy
is a logistic regression on counts of the same words that has seen few labelled reviews, some labelled wrongly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from strop.types import Episode, Task

PROMPT = "review :"
MAX_TOKENS = 20
CONTEXT = 24
NUM_LABELLED = 200
LABEL_NOISE = 0.15

ADJECTIVES = {
    "superb": 2.0, "wonderful": 1.6, "charming": 1.3, "delightful": 1.2, "great": 1.0, "good": 0.8, "nice": 0.6,
    "pleasant": 0.5, "fine": 0.3, "long": 0.0, "quiet": 0.0, "new": 0.0, "simple": 0.0, "short": 0.0, "odd": -0.3,
    "weak": -0.5, "slow": -0.6, "bad": -0.8, "dull": -1.0, "clumsy": -1.2, "tedious": -1.3, "terrible": -1.6,
    "dreadful": -2.0,
}  # fmt: skip
VERBS = {
    "adored": 1.6, "loved": 1.2, "enjoyed": 0.9, "liked": 0.6, "noticed": 0.0, "remember": 0.0, "followed": 0.0,
    "expected": 0.0, "doubted": -0.5, "disliked": -0.8, "regretted": -1.1, "hated": -1.6,
}  # fmt: skip
NOUNS = (
    "plot", "acting", "music", "ending", "cast", "script", "story", "dialogue", "camera", "pace", "opening", "hero",
    "villain", "humour",
)  # fmt: skip
ADVERBS = ("very", "quite", "rather", "truly", "somewhat")
OTHER = ("review", ":", "the", "was", "i", "and", "but", ".")
WORDS = (*OTHER, *NOUNS, *ADVERBS, *ADJECTIVES, *VERBS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Log-odds that a review is kind: `bias` and a weight a word; standardised by `mean` and `std` of the reference."""

    weights: Mapping[str, float]
    bias: float = 0.0
    mean: float = 0.0
    std: float = 1.0

    def score(self, text: str) -> float:
        """Of a text."""
        return (self.bias + sum(self.weights.get(word, 0.0) for word in text.split()) - self.mean) / self.std

    def __call__(self, task: Task, episode: Episode) -> float:
        """Of what a policy wrote."""
        return self.score(episode.text)


def reviews(num: int, seed: int) -> tuple[list[str], np.ndarray]:
    """`num` reviews, and their labels [num]: 1 for kind, 0 for unkind."""
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(2, size=num)
    return [_review(bool(label), rng) for label in labels_N], labels_N


def gold_judge() -> Judge:
    """log p(kind | text) / p(unkind | text), exact for a text of the grammar, and the same sum for any other."""
    weights = {}
    for table in (ADJECTIVES, VERBS):
        kind_K, unkind_K = _distribution(table, True), _distribution(table, False)
        weights |= {word: math.log(k / u) for word, k, u in zip(table, kind_K, unkind_K, strict=True)}
    return Judge(weights=weights)


def proxy_judge(num_labelled: int = NUM_LABELLED, noise: float = LABEL_NOISE, seed: int = 1) -> Judge:
    """A logistic regression on word counts of `num_labelled` reviews, a share `noise` of whose labels is flipped."""
    texts, labels_N = reviews(num_labelled, seed)
    flipped_N = np.random.default_rng(seed + 1).random(num_labelled) < noise
    words = (*NOUNS, *ADVERBS, *ADJECTIVES, *VERBS)
    counts_NW = torch.tensor([[text.split().count(word) for word in words] for text in texts], dtype=torch.float64)
    weight_W, bias = logistic_regression(counts_NW, torch.from_numpy(labels_N ^ flipped_N).double())
    return Judge(weights=dict(zip(words, weight_W.tolist(), strict=True)), bias=bias)


def logistic_regression(
    counts_NW: torch.Tensor, labels_N: torch.Tensor, ridge: float = 1.0
) -> tuple[torch.Tensor, float]:
    """The weights and bias of least cross-entropy (summed) plus ridge / 2 |weights|^2, by Newton's method."""
    design_NW = torch.cat([counts_NW, torch.ones_like(counts_NW[:, :1])], dim=1)
    penalty_W = torch.full_like(design_NW[0], ridge)
    penalty_W[-1] = 1e-6  # the bias is free
    weight_W = torch.zeros_like(penalty_W)
    for _ in range(50):
        probs_N = torch.sigmoid(design_NW @ weight_W)
        gradient_W = design_NW.T @ (probs_N - labels_N) + penalty_W * weight_W
        curvature_WW = (design_NW.T * (probs_N * (1 - probs_N))) @ design_NW + torch.diag(penalty_W)
        weight_W = weight_W - torch.linalg.solve(curvature_WW, gradient_W)
    return weight_W[:-1], float(weight_W[-1])


def _review(is_kind: bool, rng: np.random.Generator) -> str:
    clauses = [_clause(is_kind, rng) for _ in range(2 + int(rng.random() < 0.5))]
    joints = [str(rng.choice(("and", "but"))) for _ in clauses[1:]]
    words = clauses[0]
    for joint, clause in zip(joints, clauses[1:], strict=True):
        words = [*words, joint, *clause]
    return " ".join([*words, "."])


def _clause(is_kind: bool, rng: np.random.Generator) -> list[str]:
    noun = str(rng.choice(NOUNS))
    if rng.random() < 0.3:
        return ["i", _choose(VERBS, is_kind, rng), "the", noun]
    adverb = [str(rng.choice(ADVERBS))] if rng.random() < 0.4 else []
    return ["the", noun, "was", *adverb, _choose(ADJECTIVES, is_kind, rng)]


def _choose(table: Mapping[str, float], is_kind: bool, rng: np.random.Generator) -> str:
    return str(rng.choice(list(table), p=_distribution(table, is_kind)))


def _distribution(table: Mapping[str, float], is_kind: bool) -> np.ndarray:
    """p(word | label): weak words are common and strong ones rare, and each label prefers the words of its sign."""
    strength_K = np.array(list(table.values())) / 2
    weight_K = np.exp((1 if is_kind else -1) * strength_K - np.abs(strength_K))
    return weight_K / weight_K.sum()


def standardised(judge: Judge, texts: Sequence[str]) -> Judge:
    """The same judge with mean 0 and standard deviation 1 over these texts."""
    scores = [judge.score(text) for text in texts]
    return Judge(weights=judge.weights, bias=judge.bias, mean=float(np.mean(scores)), std=float(np.std(scores)))
