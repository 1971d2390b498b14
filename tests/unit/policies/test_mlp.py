"""The network over vectors: what it reads, its start, its contracts, and the probe problems with a value head."""

import copy
import json
import math

import numpy as np
import pytest
import torch

from strop.batch import collate
from strop.codec import VectorCodec
from strop.functional.distributions import gather, logprobs_of
from strop.functional.returns import next_value
from strop.optimizer import AdamW, trail
from strop.policies.mlp import MLP
from strop.samplers.local import LocalSampler
from strop.types import Completion, End, Episode, Mean, Pick, Sampling, Task, Term, Turn

pytestmark = pytest.mark.matrix

ACTIONS = ("left", "right", "stay")
CODEC = VectorCodec(ACTIONS, 2)
WANT = frozenset({"logits", "value", "q"})
SAMPLING = Sampling(temperature=0.7, epsilon=0.1, max_tokens=1)


def policy(value_head: bool = True, shared: bool = False, activation: str = "tanh") -> MLP:
    config = MLP.Config(
        actions=ACTIONS, size=2, hidden=(8, 8), activation=activation, value_head=value_head, shared=shared
    )
    made, _ = config.build(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return made


def episode(vectors, actions, rewards, end=End.TERMINATED, final=None, size=2) -> Episode:
    codec = VectorCodec(ACTIONS, size)
    turns = tuple(
        Turn(codec.start(str(list(vector))), Completion((action,), (math.log(1 / 3),), "length"), "", reward)
        for vector, action, reward in zip(vectors, actions, rewards, strict=True)
    )
    return Episode("e", Task("t", ""), 0, turns, codec.start(str(list(final))) if final else (), end)


EPISODES = (
    episode([(0.1, -2.0), (1.5, 0.0)], [2, 0], [0.0, 1.0], End.TRUNCATED, (3.0, -0.25)),
    episode([(-0.0, 1e-30)], [1], [0.0]),
)
BATCH = collate(tuple(Pick(one) for one in EPISODES), "per_turn")
OBSERVED = torch.tensor([(0.1, -2.0), (1.5, 0.0), (3.0, -0.25), (-0.0, 1e-30)])


def read(one: MLP, batch=BATCH) -> dict[str, torch.Tensor]:
    seen = {}
    one.heads(batch, lambda heads: seen.update(vars_of(heads)) or {}, WANT)
    return seen


def vars_of(heads):
    return {name: getattr(heads, name) for name in ("tokens_N", "logits_NV", "value_N", "q_NV")}


# ---------------------------------------------------------------- the codec


def test_a_vector_comes_back_to_the_bit():
    for vector in ([0.1, -2.0], [-0.0, 1e-42], [3.4e38, -3.4e38]):
        ids = CODEC.start(str(vector))
        assert min(ids) >= len(ACTIONS)
        assert np.array(vector, dtype=np.float32).tolist() == json.loads(CODEC.decode(ids))
    assert math.copysign(1, json.loads(CODEC.decode(CODEC.start("[-0.0, 0.0]")))[0]) == -1


def test_actions_are_words_and_a_new_vector_replaces_the_old_one():
    assert [CODEC.decode(CODEC.encode(action)) for action in ACTIONS] == list(ACTIONS)
    assert CODEC.decode((0,)) == "left"  # and not the number 0.0
    assert CODEC.extend(CODEC.start("[1, 2]"), (0,), "[3, 4]") == CODEC.start("[3, 4]")


@pytest.mark.parametrize(
    "text", ["", "1", "[1]", "[1, 2, 3]", '["a", 1]', "[NaN, 1]", "[Infinity, 1]", "{}", "[1e39, 0]", f"[{10**400}, 0]"]
)
def test_a_wrong_observation_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"list of 2 finite numbers"):
        CODEC.start(text)


def test_an_unknown_or_repeated_action_is_refused():
    with pytest.raises(ValueError, match="'up' is not one of the actions"):
        CODEC.encode("up")
    with pytest.raises(ValueError, match="each of them once"):
        VectorCodec(("a", "a"), 1)


# ---------------------------------------------------------------- the network


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("shared", [False, True])
def test_heads_read_the_observation_before_each_decision_by_hand(shared, activation):
    one = policy(shared=shared, activation=activation)
    bend = {"tanh": torch.tanh, "relu": lambda x: x.clamp(min=0)}[activation]
    state = one.state_dict()

    def net(x, names):
        for name in names:
            x = x @ state[f"{name}.weight"].T + state[f"{name}.bias"]
            x = bend(x) if "trunk" in name else x
        return x

    value_trunk = "trunk" if shared else "value_trunk"
    seen = read(one)
    assert torch.allclose(seen["logits_NV"], net(OBSERVED, ["trunk.0", "trunk.2", "policy"]), atol=1e-6)
    assert torch.equal(seen["q_NV"], seen["logits_NV"])
    expected_N = net(OBSERVED, [f"{value_trunk}.0", f"{value_trunk}.2", "value"]).squeeze(-1)
    assert torch.allclose(seen["value_N"], expected_N, atol=1e-6)
    assert seen["tokens_N"].tolist() == [2, 0, 0, 1]
    value_BT = one.heads(BATCH, lambda heads: {"v": heads.value_N}, WANT)["v"]
    assert torch.allclose(
        next_value(value_BT, BATCH.next_BT)[:, 2], expected_N[[1, 2, 0, 0]] * torch.tensor([1, 1, 0, 0])
    )


def test_the_start_is_orthogonal_with_a_nearly_uniform_policy():
    one, _ = MLP.Config(actions=ACTIONS, size=4, hidden=(16, 16), value_head=True).build(3)
    state = one.state_dict()
    for name, gain in (("trunk.2", math.sqrt(2)), ("policy", 0.01), ("value", 1.0), ("value_trunk.2", math.sqrt(2))):
        weight_HH = state[f"{name}.weight"]
        assert torch.allclose(weight_HH @ weight_HH.T, gain**2 * torch.eye(len(weight_HH)), atol=1e-4)
        assert state[f"{name}.bias"].abs().max() == 0
    logits_BV, _ = one.prefill([VectorCodec(ACTIONS, 4).start("[1, -1, 2, 0.5]")])
    assert (logits_BV.softmax(-1) - 1 / 3).abs().max() < 0.02
    again, _ = MLP.Config(actions=ACTIONS, size=4, hidden=(16, 16), value_head=True).build(3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))


def test_the_distribution_that_samples_is_the_distribution_that_is_scored():
    one = policy()
    prompts = [turn.prompt for episode in EPISODES for turn in episode.turns] * 20
    rngs = [np.random.default_rng(i) for i in range(len(prompts))]
    completions = LocalSampler(one, CODEC.stop).sample(prompts, SAMPLING, rngs)
    turns = [Turn(prompt, done, "") for prompt, done in zip(prompts, completions, strict=True)]
    batch = collate(tuple(Pick(Episode("e", Task("t", ""), 0, (t,), (), End.TERMINATED)) for t in turns), "per_turn")
    scored_BT = one.heads(batch, lambda heads: {"x": gather(logprobs_of(heads.logits_NV, SAMPLING), heads.tokens_N)})[
        "x"
    ]
    gap_N = scored_BT[batch.action_BT].double() - batch.logprobs_BT[batch.action_BT]
    assert gap_N.abs().max() < 1e-6
    assert {done.tokens[0] for done in completions} == {0, 1, 2}


@pytest.mark.parametrize("shared", [False, True])
def test_state_twin_and_reference(shared):
    one = policy(shared=shared)
    state, old = copy.deepcopy(one.state_dict()), {name: x.detach() for name, x in read(one).items()}
    twin, reference = one.twin(), one.reference()
    assert all(p.requires_grad for p in twin.parameters())
    assert not any(p.requires_grad for p in reference.parameters())
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(0.5)
    for other in (twin, reference):
        assert all(torch.equal(read(other)[name], old[name]) for name in old)
    new = read(one)["value_N"].detach()
    assert not torch.allclose(new, old["value_N"])
    trail(twin, one)
    assert torch.equal(read(twin)["value_N"], new)
    one.load_state_dict(state)
    assert all(torch.equal(read(one)[name], old[name]) for name in old)


def test_the_value_reaches_the_policys_layers_only_where_they_are_shared():
    for shared in (False, True):
        one = policy(shared=shared)
        read(one)["value_N"].sum().backward()
        assert (one.net["trunk"][0].weight.grad is not None) is shared


def test_the_config_chooses_the_activation():
    for activation, layer in (("tanh", torch.nn.Tanh), ("relu", torch.nn.ReLU)):
        one, _ = MLP.Config(actions=ACTIONS, size=2, activation=activation, value_head=True).build(0)
        assert [type(one.net[name][1]) for name in ("trunk", "value_trunk")] == [layer, layer]
    with pytest.raises(ValueError, match=r"policy\.activation='gelu': it is one of tanh, relu"):
        MLP.Config(actions=ACTIONS, size=2, activation="gelu")


def test_unsupported_calls_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"sampling\.max_tokens=1"):
        LocalSampler(policy(), CODEC.stop).sample(
            [CODEC.start("[0, 0]")], Sampling(max_tokens=2), [np.random.default_rng(0)]
        )
    with pytest.raises(ValueError, match=r"set policy\.value_head=true"):
        read(policy(value_head=False))
    with pytest.raises(ValueError, match="the policy reads 2"):
        policy().prefill([(5, 5, 5)])
    with pytest.raises(ValueError, match="at least 1"):
        MLP.Config(actions=ACTIONS, size=0)


# ---------------------------------------------------------------- probe problems

PROBES = {
    # one observation, reward 1: V(0) = 1
    "constant": ([episode([[0.0]], [0], [1.0], size=1)], 0.9, {0.0: 1.0}),
    # reward is the observation: V(o) = o
    "two observations": ([episode([[o]], [0], [o], size=1) for o in (-1.0, 1.0)], 0.9, {-1.0: -1.0, 1.0: 1.0}),
    # two turns, reward at the last: V(0) = discount, V(1) = 1
    "discount": ([episode([[0.0], [1.0]], [0, 0], [0.0, 1.0], size=1)], 0.9, {0.0: 0.9, 1.0: 1.0}),
    # reward 1 a turn for ever, cut after one turn: V(0) = 1 / (1 - 0.5), read at the slot behind the cut
    "truncated": ([episode([[0.0]], [0], [1.0], End.TRUNCATED, [0.0], size=1)], 0.5, {0.0: 2.0}),
    # the same, terminated: V(0) = 1
    "terminated": ([episode([[0.0]], [0], [1.0], size=1)], 0.5, {0.0: 1.0}),
}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", PROBES)
def test_temporal_differences_reach_the_value_of_a_probe(name, shared):
    episodes, discount, wanted = PROBES[name]
    batch = collate(tuple(Pick(one) for one in episodes), "per_turn")
    one, _ = MLP.Config(actions=ACTIONS, size=1, hidden=(16,), value_head=True, shared=shared).build(0)
    optimizer = AdamW(lr=2e-2).build(one.parameters(), one.lock)
    for _ in range(150):
        value_BT = one.heads(batch, lambda heads: {"v": heads.value_N}, frozenset({"value"}))["v"]
        target_BT = batch.rewards_BT + discount * next_value(value_BT.detach().double(), batch.next_BT)
        loss = ((value_BT - target_BT)[batch.action_BT] ** 2).sum()
        optimizer.step(batch, [Term(loss, {"loss": Mean(loss.item(), 1)})])
    for observation, value in wanted.items():
        (seen,) = [
            v
            for v, o in zip(read(one, batch)["value_N"].tolist(), observations(batch), strict=True)
            if o == observation
        ][:1]
        assert seen == pytest.approx(value, abs=0.01)


def observations(batch) -> list[float]:
    codec = VectorCodec(ACTIONS, 1)
    return [json.loads(codec.decode(tuple(ids)))[0] for ids in batch.tokens_BT[batch.decision_BT.any(1), :1].tolist()]
