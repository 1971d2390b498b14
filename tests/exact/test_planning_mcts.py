"""Tree search against exact values: with exact leaves it chooses the best token; with rollouts it gets there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from exact.build import transformer
from strop.planning.boltzmann import regularised_optimum, soft_values
from strop.planning.enumeration import enumerate_sequences, mean_values, optimal_values
from strop.planning.mcts import Problem, TreeSearch, critic_values, rollout_values
from strop.samplers.local import LocalSampler
from strop.types import Sampling, Tokens
from strop.verify.planned import PROMPT, STOP, table, tree
from strop.verify.searching import problem, valued

pytestmark = pytest.mark.matrix


def test_a_few_simulations_by_hand() -> None:
    # one level, prior (.5, .3, .2), rewards (0, 1, 2); c = 1. Bonus p sqrt(1 + n) / (1 + n_v); Q scaled to [0, 1]
    #  1: nothing is known: the largest prior, token 0, G = 0: lowest = highest = 0, so that every Q counts 0
    #  2: .5 sqrt 2 / 2 = .354 | .3 sqrt 2 = .424 | .2 sqrt 2 = .283: token 1, G = 1: scaled Q is 0 | 1 | 0 (value 0)
    #  3: token 1: 1 + .3 sqrt 3 / 2 = 1.260 beats .433 and .346; again at 4: 1 + .2 = 1.2 beats .5 and .4
    policy = table(0, 3, 1)
    with torch.no_grad():
        policy.weight[0] = torch.tensor([0.5, 0.3, 0.2]).log()
    one = Problem(PROMPT, Sampling(max_tokens=1), STOP, lambda y: float(y[0]))
    for simulations, visits in ((1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 2, 0]), (4, [1, 3, 0])):
        search = TreeSearch(TreeSearch.Config(num_simulations=simulations), policy, one, lambda y: 0.0)
        assert search.search().visits_V.tolist() == visits
    # c = 4: again 0, then 1
    #  3: 1.732 | 2.039 | 1.386: token 1
    #  4: 2 | 1.8 | 1.6: token 0
    #  5: 1.491 | 1.894 | 1.789: token 1
    #  6: 1.633 | 1.735 | 1.960: token 2
    search = TreeSearch(TreeSearch.Config(exploration=4.0, num_simulations=6), policy, one, lambda y: 0.0)
    root = search.search()
    assert root.visits_V.tolist() == [2, 3, 1]
    assert root.q_V(0.0).tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("seed", range(3))
def test_rollouts_reach_the_optimal_value(seed: int) -> None:
    task, policy = problem(seed=seed), table(seed, 3, 4, scale=0.3)
    best = optimal_values(tree(seed, 3, 4, scale=0.3), task.reward)
    leaf = rollout_values(LocalSampler(policy, STOP), task, np.random.default_rng(seed))
    config = TreeSearch.Config(num_simulations=600, max_weight=1.0, exploration=4.0)
    root = TreeSearch(config, policy, task, leaf).search()
    assert root.q_V(1.0).max() == best.value[()]
    assert int(root.visits_V.argmax()) == int(best.q[()].argmax())


def test_rollouts_estimate_the_policy_s_value() -> None:
    task, policy = problem(), table(0, 3, 4)
    exact = mean_values(tree(0, 3, 4), task.reward).value
    leaf = rollout_values(LocalSampler(policy, STOP), task, np.random.default_rng(0), num_rollouts=2000)
    for prefix in ((), (1,), (2, 1)):
        assert leaf(prefix) == pytest.approx(exact[prefix], abs=0.1)  # std about 1, so 4.5 standard errors


def test_a_critic_is_read_behind_the_prefix() -> None:
    task = problem()
    value = {prefix: float(i) for i, prefix in enumerate(tree(0, 3, 4).distributions)}
    leaf = critic_values(valued(table(0, 3, 4), value), task)
    assert {prefix: leaf(prefix) for prefix in value} == value
    with pytest.raises(ValueError, match=r"policy.value_head=true"):
        critic_values(table(0, 3, 4), task)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_critic_s_value_is_the_head_of_the_last_hidden_state(kind: str) -> None:
    policy = transformer(kind, value_head=True)
    with torch.no_grad():
        policy.value_head.weight.normal_(generator=torch.Generator().manual_seed(3))
    leaf = critic_values(policy, problem(vocabulary=7))
    for prefix in ((), (2,), (5, 1, 4)):
        with torch.no_grad():
            hidden_1TH = policy.model.base_model(torch.tensor([[*PROMPT, *prefix]])).last_hidden_state
            expected = policy.value_head(hidden_1TH[0, -1].to(policy.value_head.weight.dtype)).item()
        assert leaf(prefix) == pytest.approx(expected, rel=1e-5)
        assert abs(expected) > 1e-3


def test_mean_backup_is_the_mean_of_the_backed_up_values() -> None:
    task, policy, gains = problem(), table(0, 3, 4), []
    search = TreeSearch(TreeSearch.Config(num_simulations=1), policy, task, lambda y: float(len(y)))
    for _ in range(60):
        before = search.nodes[()].total_V.sum() if search.nodes else 0.0
        gains.append(search.search().total_V.sum() - before)
    root = search.nodes[()]
    assert (root.q_V(0.0) * root.visits_V).sum() == pytest.approx(sum(gains))
    # every node's visits are its children's and the one that opened it
    for tokens, node in search.nodes.items():
        for v, visits in enumerate(node.visits_V.tolist()):
            below = search.nodes.get((*tokens, v))
            assert below is None or visits == 1 + below.visits_V.sum()


def test_a_later_search_goes_on_in_the_same_tree() -> None:
    task, policy = problem(), table(0, 3, 4)
    search = TreeSearch(TreeSearch.Config(num_simulations=30), policy, task, lambda y: 0.0)
    root = search.search()
    token = int(root.visits_V.argmax())
    inherited = int(search.nodes[(token,)].visits_V.sum())
    assert inherited == root.visits_V[token] - 1
    assert search.search((token,)).visits_V.sum() == inherited + 30
    with pytest.raises(ValueError, match="is over"):
        search.search((0,))


def test_the_cost_of_kl_moves_the_search_to_the_regularised_optimum() -> None:
    # with the soft-optimal policy as prior, every completion is worth J*: r - beta ln(pi* / ref) = J* on all of them
    beta, task, reference = 0.5, problem(horizon=3), table(1)
    found = enumerate_sequences(reference, PROMPT, task.sampling, STOP)
    soft = soft_values(found, task.reward, beta)
    optimal = table(1)
    with torch.no_grad():
        for prefix in found.distributions:
            row = optimal.row((*PROMPT, *prefix))
            optimal.weight[row] += soft.q[prefix] / beta
    config = TreeSearch.Config(num_simulations=100, exploration=5.0, kl_weight=beta)
    search = TreeSearch(config, optimal, task, soft.value.__getitem__, reference)
    root = search.search()
    objective = regularised_optimum(found.logprobs_Y, found.rewards_Y(task.reward), beta).objective
    assert np.abs(root.q_V(0.0) - objective).max() < 1e-13
    assert (root.visits_V > 0).all()
    with pytest.raises(ValueError, match="reference policy"):
        TreeSearch(config, optimal, task, lambda y: 0.0)
    cut = Problem(PROMPT, Sampling(max_tokens=3, top_k=2), STOP, task.reward)
    with pytest.raises(ValueError, match="only the reference rules out"):
        TreeSearch(config, optimal, cut, lambda y: 0.0, reference)


def test_impossible_tokens_are_never_tried() -> None:
    policy, distribution = table(0, 3, 4), Sampling(max_tokens=4, top_k=1)
    task = Problem(PROMPT, distribution, STOP, problem().reward)
    search = TreeSearch(TreeSearch.Config(), policy, task, lambda y: 100.0)  # untried tokens look best
    tokens: Tokens = ()
    while not task.is_over(tokens):
        tokens = (*tokens, int(policy.weight[policy.row((*PROMPT, *tokens))].argmax()))
    assert search.decode() == tokens
    assert all(node.visits_V[node.prior_V == 0.0].sum() == 0 for node in search.nodes.values())


@pytest.mark.usefixtures("path")
def test_search_on_a_transformer() -> None:
    policy, task = transformer("gpt2", vocabulary=3), problem(horizon=3)
    best = optimal_values(enumerate_sequences(policy, PROMPT, task.sampling, STOP), task.reward)
    search = TreeSearch(TreeSearch.Config(num_simulations=60), policy, task, best.value.__getitem__)
    assert task.reward(search.decode()) == best.value[()]
    assert math.isfinite(best.value[()])
