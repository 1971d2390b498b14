"""Counted n-gram models: against their definitions in exact fractions, and against the optimum of SFT."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import product

import numpy as np
import torch

from strop.algorithms.counting import Counting
from strop.algorithms.sft import SFT
from strop.functional.smoothing import add_k, kneser_ney
from strop.optimizer import SGD
from strop.policies.ngram import NGram, Smoothing
from strop.policies.table import Table
from strop.types import Batch, Episode, Sampling, Tokens
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn

SIZE, END = 5, 4
EXACT = 1e-13
NEARLY_0 = 1e-300
"""A k that adds nothing to a count, and makes no logarithm infinite."""


def texts(seed: int, size: int = SIZE, end: int | None = END) -> list[tuple[Tokens, Tokens]]:
    """Prompts and answers; with an end token every answer ends in it, and some prompts begin in another document."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(size - (end is not None), 0.5))
    some = [tuple(rng.choice(len(weights), p=weights, size=n).tolist()) for n in rng.integers(1, 9, size=24)]
    ending = () if end is None else (end,)
    long = [(*one, *ending, *other) for one, other in zip(some[:4], some[4:8], strict=True)]
    return [(prompt, (*answer, *ending)) for prompt, answer in zip([*some[:8], *long], some[12:], strict=True)]


def counted(policy: NGram, pairs: Sequence[tuple[Tokens, Tokens]]) -> Batch:
    """Count these answers into the policy; their batch."""
    batch = batch_of(*(episode(turn(prompt, answer, None), id=str(i)) for i, (prompt, answer) in enumerate(pairs)))
    Counting.Config().build(policy, Sampling(), 4096).update(batch)
    return batch


class Slow:
    """An n-gram model of dicts, as its definition is read: `seen[n]` counts n-grams, each a tuple."""

    def __init__(self, pairs: Sequence[tuple[Tokens, Tokens]], order: int, size: int, end: int | None) -> None:
        self.order, self.size, self.end = order, size, end
        self.seen: Counter[Tokens] = Counter()
        for prompt, answer in pairs:
            for i, token in enumerate(answer):
                self.seen[(*self.context((*prompt, *answer[:i])), token)] += 1

    def context(self, prefix: Tokens) -> Tokens:
        """The last order - 1 tokens since the document began; -1, or the end token, is what stands before that."""
        mark = -1 if self.end is None else self.end
        document = prefix
        if mark in prefix:
            document = prefix[len(prefix) - prefix[::-1].index(mark) :]
        return ((mark,) * self.order + document)[len(document) + 1 :]

    def add_k(self, prefix: Tokens, k: Fraction) -> list[Fraction]:
        """(c + k) / (C + kV)."""
        context = self.context(prefix)
        counts = [self.seen[(*context, token)] for token in range(self.size)]
        return [(count + k) / (sum(counts) + k * self.size) for count in counts]

    def kneser_ney(self, prefix: Tokens, discount: Fraction | None) -> list[Fraction]:
        """Raw counts at the longest context, the number of different tokens before an n-gram at all others."""
        return self._mixed(self.context(prefix), discount)

    def _mixed(self, context: Tokens, given: Fraction | None) -> list[Fraction]:
        counts = self._counts(len(context) + 1)
        discount = self._discount(counts) if given is None else given
        after = [counts[(*context, token)] for token in range(self.size)]
        num_seen = sum(count > 0 for count in after)
        if context:
            lower = self._mixed(context[1:], given)
        elif num_seen == self.size:
            return [Fraction(count, sum(after)) for count in after]
        else:
            lower = [Fraction(not count, self.size - num_seen) for count in after]
        if not num_seen:
            return lower
        kept = [max(count - discount, Fraction(0)) for count in after]
        return [(own + discount * num_seen * rest) / sum(after) for own, rest in zip(kept, lower, strict=True)]

    def _discount(self, counts: Counter[Tokens]) -> Fraction:
        """n1 / (n1 + 2 n2)."""
        sizes = Counter(counts.values())
        return Fraction(sizes[1], sizes[1] + 2 * sizes[2]) if sizes[1] and sizes[2] else Fraction(1, 2)

    def _counts(self, length: int) -> Counter[Tokens]:
        if length == self.order:
            return self.seen
        before: dict[Tokens, set[int]] = defaultdict(set)
        for ngram in self.seen:
            before[ngram[-length:]].add(ngram[-length - 1])
        return Counter({ngram: len(tokens) for ngram, tokens in before.items()})


Compared = Callable[[NGram, Slow, Sequence[Tokens]], torch.Tensor]
"""(policy, the same counts in dicts, prefixes) -> a gap of each."""


def _worst(smoothing: Smoothing, compared: Compared) -> Iterator[Gap]:
    """The largest gap over the orders 1 to 4, with and without an end token."""
    for end, case in ((END, "with an end token, orders 1 to 4"), (None, "without one")):
        gaps = []
        for order in (1, 2, 3, 4):
            policy, pairs = NGram(SIZE, end, order, smoothing), texts(order, end=end)
            for part in (pairs[:4], pairs[4:6], pairs[6:7], pairs[7:]):
                counted(policy, part)
            short = [one for length in range(order) for one in product(range(SIZE), repeat=length)]
            prefixes = [*short, (0, 1, 2, 3, 0), (1, END, 0, 1, 1)]
            gaps.append(float(compared(policy, Slow(pairs, order, SIZE, end), prefixes).abs().max()))
        yield Gap(max(gaps), EXACT, case)


def _probs(policy: NGram, prefixes: Sequence[Tokens]) -> torch.Tensor:
    return policy.prefill(prefixes)[0].exp()


def _minus(probs_NV: torch.Tensor, exact_NV: Sequence[Sequence[Fraction]]) -> torch.Tensor:
    return probs_NV - torch.tensor([[float(p) for p in row] for row in exact_NV], dtype=torch.float64)


def check_kneser_ney() -> Iterator[Gap]:
    """Kneser-Ney: the definition of Kneser-Ney over sets of n-grams, in fractions, with estimated discounts."""

    def compared(policy: NGram, slow: Slow, prefixes: Sequence[Tokens]) -> torch.Tensor:
        return _minus(_probs(policy, prefixes), [slow.kneser_ney(prefix, None) for prefix in prefixes])

    yield from _worst(partial(kneser_ney, discount=None), compared)


def check_kneser_ney_given() -> Iterator[Gap]:
    """Kneser-Ney: the definition of Kneser-Ney with a discount of 3/4, token by token through a text."""

    def compared(policy: NGram, slow: Slow, _: Sequence[Tokens]) -> torch.Tensor:
        text = (0, 1, 1, END, 0, 2, 3, 0, 1, 2, END, END, 3, 3, 1)
        exact = [float(slow.kneser_ney(text[:t], Fraction(3, 4))[token]) for t, token in enumerate(text)]
        return policy.score(text).exp() - torch.tensor(exact, dtype=torch.float64)

    yield from _worst(partial(kneser_ney, discount=0.75), compared)


def check_kneser_ney_sums() -> Iterator[Gap]:
    """Kneser-Ney: a sum of Kneser-Ney probabilities of 1, after every prefix, with estimated discounts."""
    yield from _worst(
        partial(kneser_ney, discount=None), lambda policy, _, prefixes: _probs(policy, prefixes).sum(-1) - 1.0
    )


def check_add_k() -> Iterator[Gap]:
    """add-k: add-k's (c + k) / (C + kV) in fractions, after every prefix."""

    def compared(policy: NGram, slow: Slow, prefixes: Sequence[Tokens]) -> torch.Tensor:
        return _minus(_probs(policy, prefixes), [slow.add_k(prefix, Fraction(1, 2)) for prefix in prefixes])

    yield from _worst(partial(add_k, k=0.5), compared)


def check_counting_of_parts() -> Gap:
    """Counting: how many different n-grams there are, and how many tokens brought a new one, batch after batch."""
    policy, pairs, seen, gaps = NGram(SIZE, END, 3), texts(0), Counter[Tokens](), []
    algorithm = Counting.Config().build(policy, Sampling(), 4096)
    for part in (pairs[:6], pairs[:3], pairs[6:7], pairs[5:]):
        fresh = Slow(part, 3, SIZE, END).seen
        metrics = algorithm.update(batch_of(*(episode(turn(x, y, None)) for x, y in part))).metrics
        num_new = len(fresh.keys() - seen.keys())
        seen += fresh
        gaps += [metrics["counting/ngrams"].value - len(seen), metrics["counting/new"].value - num_new / fresh.total()]
    gaps.append(float(policy.counts.whole[1].sum()) - seen.total())
    return Gap(max(map(abs, gaps)), 0.0)


def _neural(policy: NGram, episodes: Sequence[Episode]) -> Table:
    """A neural n-gram with one-hot contexts, a row of free logits for each, at the policy's distributions."""
    table = Table(SIZE, order=policy.order - 1)
    with torch.no_grad():
        for one in episodes:
            prompt, answer = one.turns[0].prompt, one.turns[0].completion.tokens
            for i in range(len(answer)):
                prefix = (*prompt, *answer[:i])
                table.weight[table.row(prefix)] = policy.prefill([prefix])[0][0]
    return table


def _sft_step(policy: NGram, more: int) -> float:
    """How far SFT at rate 1 moves a neural n-gram, on the counted data and `more` of each token after each prefix."""
    pairs = [(prompt, answer) for prompt, answer in texts(1) if END not in prompt]
    counted(policy, pairs)
    slow = Slow((), policy.order, SIZE, None)
    prefixes = {slow.context(one := (*x, *y[:i])): one for x, y in pairs for i in range(len(y))}
    extra = [(one, (token,)) for one in prefixes.values() for token in range(SIZE)] * more
    episodes = [episode(turn(x, y, None), id=str(i)) for i, (x, y) in enumerate([*pairs, *extra])]
    table = _neural(policy, episodes)
    before = table.weight.detach().clone()
    SFT.Config(optimizer=SGD(lr=1.0)).build(table, Sampling(), 4096).update(batch_of(*episodes, layout="per_turn"))
    return float((table.weight.detach() - before).abs().max())


def check_counting() -> Iterator[Gap]:
    """Counting: zero step of SFT on a neural n-gram with one-hot contexts, at the counted probabilities."""
    steps = [_sft_step(NGram(SIZE, END, order, partial(add_k, k=NEARLY_0)), more=0) for order in (2, 3, 4)]
    yield Gap(max(steps), EXACT, "orders 2 to 4")
    step = _sft_step(NGram(SIZE, END, 3, partial(add_k, k=1.0)), more=1)
    yield Gap(step, EXACT, "add-1, and each word once more after each context")


def check_counting_gradient() -> Gap:
    """Counting: zero step of SFT on the counted policy itself."""
    policy = NGram(SIZE, END, 3, partial(add_k, k=NEARLY_0))
    batch = counted(policy, texts(2))
    SFT.Config(optimizer=SGD(lr=1.0)).build(policy, Sampling(), 4096).update(batch)
    return Gap(float(policy.parameters()[0].detach().abs().max()), EXACT)


def _source(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A Markov chain [size, size], and the share of time in each state."""
    chain = np.random.default_rng(5).dirichlet(np.full(size, 0.7), size=size)
    states = np.linalg.matrix_power(chain, 200)[0]
    return chain, states


def learn_counting(seed: int) -> Gap:
    """Counting: the entropy rate of a Markov chain of 4 words, from 20,000 words; the excess in nats a word."""
    chain, states = _source(4)
    rng, words = np.random.default_rng(seed), [0]
    for _ in range(20_000):
        words.append(int(rng.choice(4, p=chain[words[-1]])))
    smoothings: list[Smoothing] = [partial(add_k, k=0.1), partial(kneser_ney, discount=None)]
    excess = []
    for smoothing in smoothings:
        policy = NGram(4, order=2, smoothing=smoothing)
        counted(policy, [((words[0],), tuple(words[1:]))])
        logprobs = policy.prefill([(0, state) for state in range(4)])[0].numpy()
        excess.append(float((states[:, None] * chain * (np.log(chain) - logprobs)).sum()))
    return Gap(max(excess), 0.002)
