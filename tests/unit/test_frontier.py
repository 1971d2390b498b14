"""The frontier benchmark's pure parts: the line against enumeration, its end, what lies above it, and the judges."""

from __future__ import annotations

import math
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from strop.planning.best_of_n import best_of_n_bound, best_of_n_distribution
from strop.planning.boltzmann import regularised_optimum
from strop.verify.planned import rewards, tree

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def beside() -> Iterator[None]:
    """The benchmark's files import each other by their bare names, as a script's do."""
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def line_of(counts_Y: torch.Tensor, rewards_Y: torch.Tensor, least: float = 100.0) -> Any:
    """The line of completions that were sampled in exact proportion."""
    from frontier_line import frontier

    return frontier(rewards_Y.repeat_interleave(counts_Y), least)


def tiny_world() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Counts, their distribution, and rewards of all completions of the tree language model: 20,000 exact samples."""
    reference, reward = tree(1), rewards(7)
    counts_Y = (reference.logprobs_Y.exp() * 20_000).round().long()
    return counts_Y, (counts_Y / counts_Y.sum()).double(), reference.rewards_Y(reward.__getitem__)


@pytest.mark.parametrize("beta", [0.15, 0.3, 0.7, 2.0])
def test_the_line_is_the_optimum_of_all_completions(beta: float) -> None:
    counts_Y, probs_Y, rewards_Y = tiny_world()
    optimum = regularised_optimum(probs_Y.log(), rewards_Y, beta)
    height, point = line_of(counts_Y, rewards_Y).height(optimum.kl)
    # the grid's nearest beta misses the true tangent by at most 2 %: its bound is above, and by little
    assert height >= optimum.reward - 1e-9
    assert height == pytest.approx(optimum.reward, abs=1e-3)
    assert point.beta == pytest.approx(beta, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_no_policy_is_above_the_line(seed: int) -> None:
    counts_Y, probs_Y, rewards_Y = tiny_world()
    other_Y = torch.softmax(torch.randn(len(probs_Y), generator=torch.Generator().manual_seed(seed)).double(), 0)
    kl = float(other_Y @ (other_Y / probs_Y).log())
    height, _ = line_of(counts_Y, rewards_Y).height(kl)
    assert float(other_Y @ rewards_Y) <= height


@pytest.mark.parametrize("n", [2, 4, 16])
def test_best_of_n_at_its_bound_is_not_above_the_line(n: int) -> None:
    counts_Y, probs_Y, rewards_Y = tiny_world()
    reward = float(best_of_n_distribution(probs_Y, rewards_Y, n) @ rewards_Y)
    assert reward <= line_of(counts_Y, rewards_Y).height(best_of_n_bound(n))[0]


def test_the_line_ends_where_too_few_samples_carry_it() -> None:
    # 1000 of reward 0 and one of reward 1: its share of the weights rises as beta falls
    rewards_N = torch.cat([torch.zeros(1000), torch.ones(1)]).double()
    from frontier_line import frontier

    line = frontier(rewards_N, least=100.0)
    sizes = [point.effective_size for point in line.points]
    assert min(sizes) >= 100.0
    # at weight w = e^(1 / beta) the size is (1000 + w)^2 / (1000 + w^2), and 100 where
    # (1000 + w)^2 = 100 (1000 + w^2)  =>  99 w^2 - 2000 w - 900000 = 0  =>  w = 105.98, beta = 1 / ln w = 0.2144
    assert line.points[-1].beta == pytest.approx(0.2144, rel=0.05)
    with pytest.raises(ValueError, match="sample more"):
        frontier(rewards_N, least=2000.0)


def test_a_policy_above_the_line_is_found_and_one_on_it_is_not() -> None:
    from frontier_line import standing

    counts_Y, probs_Y, rewards_Y = tiny_world()
    line = line_of(counts_Y, rewards_Y)
    optimum = regularised_optimum(probs_Y.log(), rewards_Y, 0.3)
    on = standing(line, optimum.reward, optimum.kl, 4096, 1.0, 1.0, 0.0)
    assert not on.is_above
    assert on.share == pytest.approx(1.0, abs=1e-3)
    # at a KL that is reported by half a nat too small, the same reward lies 0.3 * 0.5 higher: 0.15 against 2 * 0.016
    wrong = standing(line, optimum.reward, optimum.kl - 0.5, 4096, 1.0, 1.0, 0.0)
    assert wrong.is_above


def test_the_error_of_a_standing_counts_reward_kl_and_line() -> None:
    from frontier_line import standing

    counts_Y, _, rewards_Y = tiny_world()
    line = line_of(counts_Y, rewards_Y)
    _, point = line.height(0.5)
    one = standing(line, 0.0, 0.5, 100, reward_variance=2.0, kl_variance=3.0, covariance=0.5)
    of_samples = (2.0 - 2 * point.beta * 0.5 + point.beta**2 * 3.0) / 100
    weights_N = torch.exp(rewards_Y.repeat_interleave(counts_Y) / point.beta)
    of_line = (point.beta * float(weights_N.std(unbiased=False) / weights_N.mean())) ** 2 / len(weights_N)
    assert one.error == pytest.approx(math.sqrt(of_samples + of_line), rel=1e-6)


def test_gold_is_the_log_odds_of_the_grammar() -> None:
    from frontier_task import gold_judge, reviews

    gold, (texts, labels_N) = gold_judge(), reviews(4000, seed=3)
    odds_N = np.array([gold.score(text) for text in texts])
    probs_N = 1 / (1 + np.exp(-odds_N))
    # calibrated: where it says p, a share p is kind. 4 standard errors of a mean of at least 500 labels are below 0.09
    for low, high in ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.0)):
        inside_N = (probs_N >= low) & (probs_N < high)
        assert inside_N.sum() > 500
        assert labels_N[inside_N].mean() == pytest.approx(probs_N[inside_N].mean(), abs=0.09)


def test_the_regression_is_where_its_gradient_is_zero() -> None:
    from frontier_task import logistic_regression

    generator = torch.Generator().manual_seed(0)
    counts_NW = torch.randint(0, 3, (40, 5), generator=generator).double()
    labels_N = torch.randint(0, 2, (40,), generator=generator).double()
    weight_W, bias = logistic_regression(counts_NW, labels_N, ridge=1.0)
    error_N = torch.sigmoid(counts_NW @ weight_W + bias) - labels_N
    assert (counts_NW.T @ error_N + weight_W).abs().max() < 1e-8
    assert abs(float(error_N.sum())) < 1e-4


@pytest.mark.slow
def test_a_tiny_whole_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["frontier.py", "--quick"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCHMARKS / "frontier.py"), run_name="__main__")
    assert ended.value.code == 0
