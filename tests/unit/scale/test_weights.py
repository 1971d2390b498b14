"""Weights on their way: the same bits, and nothing that is damaged or older is loaded."""

import dataclasses

import pytest
import torch

import fleet
from pretend_ray import pretended
from strop.runs.state import same
from strop.scale.replica import Replica
from strop.scale.unit import Unit
from strop.scale.weights import Manifest, WeightsRefused, packed


def replica_of(config):
    replica = Replica([])
    replica.start(config)
    return replica


def test_what_is_packed_comes_back_to_the_bit():
    policy, _ = fleet.config().resolve().policy.build(0, "float32")
    sent = packed(policy)
    assert same(sent.state(), policy.state_dict())
    assert sent.sha256 == packed(policy).sha256
    with torch.no_grad():
        policy.parameters()[0].flatten()[0] += 1.0
    assert packed(policy).sha256 != sent.sha256


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"sha256": "0" * 64}, "arrived damaged"),
        ({"version": 2}, "version 2 of start 7 is older than version 3"),
        ({"epoch": 6, "version": 9}, "version 9 of start 6 is older than version 3 of start 7"),
    ],
)
def test_a_replica_refuses_damaged_and_older_weights_and_keeps_its_own(manifest, why):
    config = fleet.config().resolve()
    unit = Unit(3, 0, config.tasks[:1])
    policy, _ = config.policy.build(1, "float32")  # other weights than the replica's own
    weights = packed(policy)
    has = Manifest(7, 3, weights.sha256)
    with pretended() as ray:
        replica = replica_of(config)
        before = replica.play(has, [ray.put(weights)], unit).episodes
        bad = dataclasses.replace(has, **{"version": 4, **manifest})
        with pytest.raises(WeightsRefused, match=why):
            replica.play(bad, [ray.put(weights)], unit)
        assert replica.play(has, [], unit).episodes == before


def test_a_unit_is_played_the_same_whatever_was_played_before():
    config = fleet.config().resolve()
    policy, _ = config.policy.build(1, "float32")
    weights = packed(policy)
    manifest = Manifest(1, 0, weights.sha256)
    first, second = (Unit(5, place, config.tasks[place : place + 1]) for place in (0, 1))
    with pretended() as ray:
        one, other = replica_of(config), replica_of(config)
        alone = one.play(manifest, [ray.put(weights)], second).episodes
        other.play(manifest, [ray.put(weights)], first)
        assert other.play(manifest, [], second).episodes == alone
