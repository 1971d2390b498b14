"""Counting: what it counts, what it refuses, and that batches, resumes and locks change nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace

import pytest
import torch

import strop
from exact.build import batch_of, episode, turn
from exact.coin import identical
from strop.algorithms.counting import Counting
from strop.batch import collate
from strop.policies.ngram import NGram
from strop.policies.table import Table
from strop.recipes import nursery
from strop.types import Batch, Pick, Sampling, Unscored, WeightsLock
from strop.verify.counting import texts

SIZE, END = 5, 4


def build(policy: NGram) -> Counting:
    return Counting.Config().build(policy, Sampling(), 64)


def grams(policy: NGram) -> dict[str, int]:
    """How often each n-gram was counted, as a text of ids; "4" is the end, and what is before a document."""
    ngrams_M, counts_M = policy.counts.whole
    base, found = policy.contexts.base, {}
    for ngram, count in zip(ngrams_M.tolist(), counts_M.tolist(), strict=True):
        found["".join(str(ngram // base**i % base) for i in reversed(range(policy.order)))] = count
    return found


def batch() -> Batch:
    return batch_of(
        episode(turn((0, 1), (2, 2, END), None)),
        episode(turn((0,), (1,), None), turn((0, 1, 3), (2, END), None)),  # 3 is a reply of the environment
        episode(turn((2,), (2,), None), reward=Unscored("lost")),
    )


def test_it_counts_every_scored_action_after_what_stands_before_it() -> None:
    policy = NGram(SIZE, END, order=3)
    metrics = build(policy).update(batch()).metrics
    assert grams(policy) == {"012": 1, "122": 1, "224": 1, "401": 1, "132": 1, "324": 1}
    assert metrics["counting/ngrams"].value == 6
    assert metrics["counting/new"].value == 1.0
    metrics = build(policy).update(batch_of(episode(turn((0, 1), (2, 3), None)))).metrics
    assert grams(policy)["012"] == 2
    assert metrics["counting/ngrams"].value == 7
    assert metrics["counting/new"].value == 0.5


def test_it_changes_no_record_and_nothing_outside_of_the_lock() -> None:
    class Watching(WeightsLock):
        """Looks at the counts whenever it is entered and left."""

        def __init__(self) -> None:
            super().__init__()
            self.seen: list[dict[str, int]] = []

        @contextmanager
        def changing(self) -> Iterator[None]:
            with super().changing():
                self.seen.append(grams(policy))
                yield
                self.seen.append(grams(policy))

    policy, data = NGram(SIZE, END, order=2), batch()
    policy.lock = lock = Watching()
    kept, algorithm = copy.deepcopy(data), build(policy)
    algorithm.update(data)
    assert lock.seen[0] == {}
    assert lock.seen[1] == grams(policy) != {}
    for field in fields(data):
        assert torch.equal(getattr(data, field.name).nan_to_num(-9), getattr(kept, field.name).nan_to_num(-9))


def test_any_batches_of_the_same_texts_give_the_same_bits() -> None:
    policies = [NGram(SIZE, END, order=3) for _ in range(3)]
    episodes = [episode(turn(x, y, None), id=str(i)) for i, (x, y) in enumerate(texts(0))]
    build(policies[0]).update(batch_of(*episodes))
    for one in episodes:
        build(policies[1]).update(batch_of(one))
    for part in (episodes[7:], episodes[:7]):
        build(policies[2]).update(batch_of(*part, layout="per_turn"))
    for policy in policies[1:]:
        assert identical(policy.state_dict(), policies[0].state_dict())
        assert torch.equal(policy.prefill([(0, 1)])[0], policies[0].prefill([(0, 1)])[0])


def test_a_second_pass_doubles_every_count() -> None:
    policy = NGram(SIZE, END, order=3)
    build(policy).update(batch())
    once = grams(policy)
    build(policy).update(batch())
    assert grams(policy) == {ngram: 2 * count for ngram, count in once.items()}


def test_a_weight_that_is_no_yes_or_no_is_refused() -> None:
    policy = NGram(SIZE, END)
    one = episode(turn((0,), (1,), None))
    with pytest.raises(ValueError, match=r"an episode weighs 0\.5: Counting counts it or not"):
        build(policy).update(collate((Pick(one, weight=0.5),), "joined"))
    build(policy).update(collate((Pick(one, weight=0.0),), "joined"))
    assert policy.num_ngrams == 0


def test_a_policy_that_cannot_count_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match=r"this policy is a Table, .* set policy=strop\.policies\.NGram\.Config"):
        Counting.Config().build(Table(3), Sampling(), 64)  # type: ignore[arg-type]
    assert build(NGram(SIZE, END)).state_dict() == {}


def test_a_resumed_run_ends_with_the_same_bits(tmp_path) -> None:
    whole = replace(
        nursery.recipe(), memory=strop.memory.Dataset.Config(size=2), steps=4, checkpoint_every=1, threads=1
    )
    runs = [strop.train(whole, tmp_path / "whole"), strop.train(replace(whole, steps=2), tmp_path / "cut")]
    runs[1] = strop.train(whole, tmp_path / "cut", resume=True)
    assert identical(runs[0].policy.state_dict(), runs[1].policy.state_dict())
    counted = [[one["counting/ngrams"] for one in run.metrics() if "counting/ngrams" in one] for run in runs]
    assert counted[0] == counted[1]
    assert len(counted[0]) == 4
    assert runs[0].evaluate()["held_out/reward"] == 1.0  # it knows the lines by heart
