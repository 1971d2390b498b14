"""What each (placement, estimator) of KL optimises: its closed form (`strop.verify.kl`) and none of the others."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from exact.build import flat, transformer
from exact.tree import Tree, expected_ascent, random_weights, relative, table_tree
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.batch import collate
from strop.functional.divergences import KL, estimate, full_kl
from strop.optimizer import SGD
from strop.types import Pick, Sampling
from strop.verify.kl import TABLE, at, build, closed_forms


def test_no_closed_form_is_another() -> None:
    # so that a KL which has one of them for its gradient (strop verify kl) has none of the others
    tree = table_tree(3, 3, seed=0, temperature=0.7)
    forms = closed_forms(tree, random_weights(tree.policy, seed=1))
    for (one, got), (other, expected) in itertools.permutations(forms.items(), 2):
        assert relative(got, expected) > 1e-2, (one, other)


@pytest.mark.parametrize(("placement", "estimator"), TABLE)
@pytest.mark.parametrize("kind", [RLOO, DrGRPO])
def test_group_algorithms_pull_with_the_same_kl(kind: Any, placement: str, estimator: str) -> None:
    # RLOO: the same; Dr. GRPO: over L_max = 5, and in the reward (G - 1) / G = 1/2 of it
    tree = table_tree(3, 2, seed=0)
    reference = random_weights(tree.policy, seed=1)
    factor = 1.0 if kind is RLOO else (0.5 if placement == "reward" else 1.0) / 5
    got = -expected_ascent(tree, build(kind, tree, placement, estimator, reference), [0.0] * len(tree.sequences), 2)
    assert relative(got, factor * closed_forms(tree, reference)[TABLE[placement, estimator]]) < 1e-12


def test_grpo_takes_kl_off_after_normalising() -> None:
    # on sequences of exactly 2 tokens: 1/2 (mean over tokens) * 1/2 (own mean) of the sequence KL, whatever std is
    tree = table_tree(3, 2, seed=0, end=None)
    reference = random_weights(tree.policy, seed=1)
    rewards = [10.0 * (i % 3) for i in range(len(tree.sequences))]
    pulls = [
        expected_ascent(tree, build(GRPO, tree, "reward", "k1", reference), scores, 2)
        for scores in (rewards, [0.0] * len(rewards))
    ]
    free = expected_ascent(tree, GRPO.Config(optimizer=SGD(lr=1.0)).build(tree.policy, Sampling(), 4096), rewards, 2)
    sequence = closed_forms(tree, reference)["sequence"]
    assert relative(-pulls[1], sequence / 4) < 1e-12
    assert relative(free - pulls[0], sequence / 4) < 1e-10


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(("kind", "near"), [("gpt2", 1e-10), ("llama", 1e-5)])
@pytest.mark.parametrize(("placement", "estimator"), [("reward", "k1"), ("loss", "k2"), ("loss", "full")])
def test_kl_of_a_real_transformer_in_small_chunks(
    placement: str, estimator: str, kind: str, near: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strop.compute.output_head.CHUNK_BYTES", 1)  # one decision a chunk
    tree = Tree(transformer(kind, vocabulary=3), 2, end=0)
    reference = flat(tree.policy.parameters()) + random_weights(tree.policy, seed=1, scale=0.1)
    algorithm = build(REINFORCE, tree, placement, estimator, reference, baseline_decay=None)
    got = -expected_ascent(tree, algorithm, [0.0] * len(tree.sequences), 1)
    assert relative(got, closed_forms(tree, reference)[TABLE[placement, estimator]]) < near


def test_the_full_kl_is_that_of_sequences_and_k2_is_biased() -> None:
    tree = table_tree(3, 3, seed=0)
    distributions, ref = tree.distributions(), at(tree, random_weights(tree.policy, seed=1))
    probs = tree.probabilities(distributions).tolist()
    ratios = [(a - b).detach() for a, b in zip(tree.logprobs(distributions), tree.logprobs(ref), strict=True)]
    true = sum(p * float(ratio.sum()) for p, ratio in zip(probs, ratios, strict=True))
    k2 = sum(p * float(estimate(ratio, "k2").sum()) for p, ratio in zip(probs, ratios, strict=True))
    visits = tree.visits({s: distribution.detach() for s, distribution in distributions.items()})
    whole = sum(float(visits[s] * full_kl(distributions[s].detach()[None], ref[s][None])) for s in tree.states)
    assert abs(whole - true) < 1e-12
    assert abs(k2 - true) > 1e-2


def test_kl_metric_is_the_mean_sum_over_sequences() -> None:
    tree = table_tree(3, 2, seed=0)
    reference = random_weights(tree.policy, seed=1)
    algorithm = build(RLOO, tree, "reward", "k1", reference)
    ratios = [
        float((a.detach() - b).sum())
        for a, b in zip(tree.logprobs(tree.distributions()), tree.logprobs(at(tree, reference)), strict=True)
    ]
    episodes = tree.episodes([0.0] * len(tree.sequences))
    update = algorithm.update(collate(tuple(Pick(one) for one in episodes), "per_turn"))
    assert abs(update.metrics["policy/kl"].value - sum(ratios) / len(ratios)) < 1e-12


def test_k1_in_the_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly 0"):
        KL(weight=0.1, placement="loss", estimator="k1")


@pytest.mark.parametrize("kind", [REINFORCE, RLOO, DrGRPO, GRPO])
def test_kl_weight_zero_makes_and_runs_no_reference(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = table_tree(3, 2)

    def refuse() -> Any:
        raise AssertionError("a reference was made")

    monkeypatch.setattr(tree.policy, "reference", refuse)
    algorithm = kind.Config(optimizer=SGD(lr=1.0), kl=KL(weight=0.0)).build(tree.policy, Sampling(), 4096)
    calls = []
    heads = tree.policy.heads
    monkeypatch.setattr(tree.policy, "heads", lambda *args: calls.append(1) or heads(*args))
    expected_ascent(tree, algorithm, list(range(7)), 1)
    assert len(calls) == 7  # one read of the policy an update, and nothing else


def test_log_ratio_of_a_drifted_token_is_not_clamped() -> None:
    # far from the reference the pull must stay: d k2 / d l = l, also at l = 30
    log_ratio = torch.tensor([30.0], dtype=torch.float64, requires_grad=True)
    estimate(log_ratio, "k2").sum().backward()
    assert float(log_ratio.grad) == 30.0
