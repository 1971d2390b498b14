"""Actions that are one of a few choices: how they are read, restricted, played, learnt from and kept."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import strop
from exact.build import batch_of, episode, turn
from strop.algorithms.dqn import DQN, duel
from strop.algorithms.q_learning import QLearning
from strop.algorithms.sft import SFT
from strop.batch import collate
from strop.choices import Choosing
from strop.codec import HFCodec, VectorCodec, WordCodec, fast_tokenizer
from strop.data.played import as_task, played, played_episode
from strop.data.preferences import preferences
from strop.data.written import demonstrations
from strop.functional.distributions import entropy, logprobs_of
from strop.functional.restriction import only, restricted
from strop.hub.card import Usage, _notes
from strop.optimizer import SGD
from strop.planning.beam import beam_search
from strop.planning.enumeration import enumerate_sequences
from strop.policies.table import Table
from strop.reports.abilities import why_not_chat
from strop.rollout.play import Scene, play
from strop.runs.variety import Variety
from strop.samplers.local import LocalSampler
from strop.samplers.scripted import ScriptedSampler
from strop.types import Choices, End, Episode, Heads, Pick, Sampling, Step, Task, Turn
from tiny_tokenizer import tokenizer

WORDS = WordCodec(["left", "right", "up", "go", "on"])
LEFT, RIGHT, UP, GO, ON, ENDS = range(6)
TWO = Choices(((1,), (3, 2)))


def choosing(*choices: str, codec: Any = WORDS, max_tokens: int = 3) -> Choosing:
    return Choosing(codec, Sampling(choices=choices, max_tokens=max_tokens))


def restricted_turn(prompt: tuple[int, ...], tokens: tuple[int, ...], choices: Choices, reward: float = 0.0) -> Turn:
    return replace(turn(prompt, tokens, reward=reward), choices=choices)


# ------------------------------------------------------------ reading


def test_what_may_follow_each_beginning() -> None:
    choices = Choices(((5, 2), (5, 1), (3,)))
    assert choices.after(()) == (3, 5)
    assert choices.after((5,)) == (1, 2)
    assert choices.after((3,)) == ()
    assert choices.along((5, 1)) == ((3, 5), (1, 2))
    assert choices.longest == 2
    with pytest.raises(ValueError, match="begin none of the 3 choices"):
        choices.after((4,))
    with pytest.raises(ValueError, match="only the beginning"):
        choices.along((5,))


@pytest.mark.parametrize("tokens", [(), ((),), ((1,), (1,)), ((1,), (1, 2))])
def test_token_choices_that_cannot_be_told_apart_are_refused(tokens: Any) -> None:
    with pytest.raises(ValueError, match="choices: "):
        Choices(tokens)


def test_choices_end_where_they_are_whole_and_a_beginning_of_another_has_an_end() -> None:
    found = choosing("left", "go", "go on").of(Task("0", "x"))
    assert found == Choices(((LEFT,), (GO, ENDS), (GO, ON)))


@pytest.mark.parametrize(
    ("texts", "codec", "told"),
    [
        (("left", ""), WORDS, "'' has no token"),
        (("left", "left"), WORDS, "'left' stands twice"),
        (("go  on", "go on"), WORDS, "'go on' and 'go  on' are the same tokens"),
        (("go", "go on"), WordCodec(["go", "on"], has_end=False), "'go' is the beginning of 'go on'.*no end token"),
        (("left", "go on go on"), WORDS, "'go on go on' has 4 tokens, and sampling.max_tokens=3"),
        (("left", "down"), WORDS, "'down' is not in the vocabulary"),
    ],
)
def test_choices_that_cannot_be_sampled_are_named(texts: tuple[str, ...], codec: WordCodec, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        choosing(*texts, codec=codec).of(Task("0", "x"))


def test_a_task_may_hold_its_own_and_a_turn_too() -> None:
    reader = Choosing(WORDS, Sampling(choices="moves", max_tokens=2))
    assert reader.of(Task("0", "x", data={"moves": ["left", "up"]})) == Choices(((LEFT,), (UP,)))
    assert reader.of(Task("0", "x", data={"moves": ["left", "up"]}), ["right"]) == Choices(((RIGHT,),))
    with pytest.raises(ValueError, match=r"task 7: sampling.choices='moves' names a field .* has 'way'"):
        reader.of(Task("7", "x", data={"way": 1}))
    with pytest.raises(ValueError, match=r"task 7: data\['moves'\]='left': choices are a list of texts"):
        reader.of(Task("7", "x", data={"moves": "left"}))
    assert Choosing(WORDS, Sampling()).of(Task("0", "x")) is None


def test_one_choice_alone_is_no_choice_and_a_step_needs_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least two texts"):
        Sampling(choices=["left"])
    with pytest.raises(ValueError, match="at least one text"):
        Step("x", choices=[])
    with pytest.raises(ValueError, match="a list of at least one text"):
        Step("x", choices="left")


def test_a_tokenizer_of_bytes_and_an_action_of_a_vector_are_choices_as_well() -> None:
    codec = HFCodec(fast_tokenizer(tokenizer()))
    found = choosing("no", "not", "yes", codec=codec, max_tokens=12).of(Task("0", "x"))
    assert found is not None
    assert [codec.decode(one) for one in found.tokens] == ["no", "not", "yes"]
    vector = VectorCodec(["push", "pull", "wait"], 2)
    assert choosing("push", "wait", codec=vector).of(Task("0", "[1, 2]")) == Choices(((0,), (2,)))


# ------------------------------------------------------------ the distribution


def test_only_what_is_allowed_has_probability_and_epsilon_stays_within() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 9.0], [0.0, 1.0, 2.0, 9.0]], dtype=torch.float64, requires_grad=True)
    logprobs = logprobs_of(only(logits, [(0, 2), None]), Sampling(epsilon=0.2))
    p = 1 / (1 + math.e**2)
    assert logprobs[0].exp().tolist() == pytest.approx([0.8 * p + 0.1, 0.0, 0.8 * (1 - p) + 0.1, 0.0])
    plain = logprobs_of(logits.detach()[1:], Sampling(epsilon=0.2))
    assert logprobs[1].tolist() == pytest.approx(plain[0].tolist())
    logprobs[0, 0].backward()
    assert logits.grad is not None
    slope = 0.8 * p * (1 - p) / (0.8 * p + 0.1)
    assert logits.grad[0].tolist() == pytest.approx([slope, 0.0, -slope, 0.0])


def test_the_entropy_is_of_the_choices_alone() -> None:
    logits = torch.tensor([[3.0, 3.0, 50.0]], dtype=torch.float64, requires_grad=True)
    found = entropy(logprobs_of(only(logits, [(0, 1)]), Sampling()))
    found.sum().backward()
    assert found.item() == pytest.approx(math.log(2))
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([0.0, 0.0, 0.0])


def test_a_batch_knows_what_each_decision_allowed() -> None:
    other = Choices(((4,), (5, 0)))
    first = restricted_turn((1,), (3, 2), TWO)
    second = restricted_turn((1, 3, 2, 6), (4,), other)
    free = turn((1, 3, 2, 6, 4, 7), (2,))
    cut = replace(episode(first, second, free, end=End.TRUNCATED, final=(1, 3, 2, 6, 4, 7, 2, 9)), final_choices=other)
    batch = batch_of(cut)
    sets = [tuple(x for x in one if x >= 0) for one in batch.allowed_SK.tolist()]
    named = {t: sets[n] for t, n in enumerate(batch.allowed_BT[0].tolist()) if n >= 0}
    # slots: 1 | 3 2 | 6 | 4 | 7 | 2 | 9 and the slot of the bootstrap
    assert named == {1: (1, 3), 2: (2,), 4: (4, 5), 8: (4, 5)}
    assert batch.action_BT[0].tolist() == [False, True, True, False, True, False, True, False, False]
    # a pick of the first turn alone is followed by the second
    alone = collate((Pick(cut, turn=0),), "joined")
    assert alone.allowed_BT[0].tolist()[-1] >= 0
    assert tuple(alone.allowed_SK[alone.allowed_BT[0, -1]].tolist()) == (4, 5)


def test_rows_and_micro_batches_keep_it() -> None:
    one = episode(restricted_turn((1,), (3, 2), TWO), id="0")
    two = episode(restricted_turn((1, 1, 1), (1,), TWO), id="1")
    batch = batch_of(one, two)
    parts = [micro.allowed_SK[micro.allowed_BT[micro.action_BT]].tolist() for micro, _ in batch.split(3, "row")]
    assert parts == [[[1, 3]], [[1, 3], [2, -1]]]  # the longer row first


def test_heads_are_restricted_by_chunks() -> None:
    batch = batch_of(episode(restricted_turn((1,), (3, 2), TWO)), episode(turn((1,), (2,)), id="f"))
    logits = torch.zeros(2, 6, dtype=torch.float64)
    later = restricted(Heads(torch.tensor([2, 2]), first=1, logits_NV=logits), batch)
    assert later.logits_NV is not None
    assert (later.logits_NV > -math.inf).tolist() == [[False, False, True, False, False, False], [True] * 6]


# ------------------------------------------------------------ action values


def test_the_best_action_is_a_choice_in_dqn() -> None:
    # Q(s') = (9, 1, 4, 0): 9 is not allowed, so y = r + 0.9 * 4
    policy = Table(4, order=1)
    for row, values in {(1,): [0.0, 0.0, 0.0, 0.0], (2,): [9.0, 1.0, 4.0, 0.0]}.items():
        policy.weight.data[policy.row(row)] = torch.tensor(values, dtype=torch.float64)
    choices = Choices(((1,), (2,), (3,)))
    played = episode(restricted_turn((1,), (3,), choices, 1.0), restricted_turn((2,), (1,), choices))
    for double in (True, False):
        config = DQN.Config(optimizer=SGD(lr=1.0), huber=None, discount=0.9, double=double, target_every=1)
        algorithm = config.build(policy, Sampling(), 4096)
        (target,) = algorithm.method.opinions(batch_of(played, layout="per_turn"))
        assert target[0, 1].item() == pytest.approx(1.0 + 0.9 * 4.0)


@pytest.mark.parametrize("name", ["DQN", "PPO", "A2C", "PathConsistency", "ILQL"])
def test_where_a_value_is_read_behind_a_cut_episode_all_stays_finite(name: str) -> None:
    # token 0 is not among the choices that would have followed, and stands in that slot
    policy = Table(6, order=1, value_head=True)
    cut = episode(restricted_turn((0,), (1,), TWO, 1.0), end=End.TRUNCATED, final=(0, 1, 5))
    algorithm = getattr(strop.algorithms, name).Config(optimizer=SGD(lr=0.1)).build(policy, Sampling(), 4096)
    update = algorithm.update(batch_of(replace(cut, final_choices=Choices(((2,), (4,))))))
    assert all(math.isfinite(metric.value) for metric in update.metrics.values()), update.metrics
    assert all(parameter.isfinite().all() for parameter in policy.parameters())


def test_dueling_takes_the_mean_over_the_choices() -> None:
    advantages = torch.tensor([[1.0, -math.inf, 4.0]])
    assert duel(advantages, torch.tensor([10.0])).tolist() == [[8.5, -math.inf, 11.5]]
    assert duel(torch.tensor([[1.0, 3.0]]), torch.tensor([10.0])).tolist() == [[9.0, 11.0]]


def test_tabular_methods_look_at_the_choices_of_the_next_decision() -> None:
    policy = Table(4, order=1)
    policy.weight.data[policy.row((1,))] = 0.0
    policy.weight.data[policy.row((2,))] = torch.tensor([9.0, 1.0, 4.0, 0.0], dtype=torch.float64)
    choices = Choices(((1,), (2,), (3,)))
    played = episode(restricted_turn((1,), (3,), choices, 1.0), restricted_turn((2,), (1,), choices))
    for kind, after in (
        (QLearning.Config, 4.0),
        (strop.algorithms.DoubleQ.Config, 4.0),
        (strop.algorithms.ExpectedSARSA.Config, (1 * math.e + 4 * math.e**4) / (math.e + math.e**4 + 1)),
    ):
        before = policy.weight.detach().clone()
        kind(rate=1.0, discount=0.9).build(policy, Sampling(), 4096).update(batch_of(played, layout="per_turn"))
        got = policy.weight[policy.contexts[(1,)], 3].item()
        # double Q-learning holds the mean of two tables, one of which has moved
        assert got == pytest.approx((1 + 0.9 * after) / (2 if kind is strop.algorithms.DoubleQ.Config else 1))
        policy.weight.data.copy_(before)


# ------------------------------------------------------------ sampling


def table_of(seed: int = 0) -> Table:
    policy = Table(6, order=2)
    for context in ((0,), (0, GO)):
        policy.row(context)
    policy.weight.data.copy_(torch.randn(policy.weight.shape, generator=torch.Generator().manual_seed(seed)) * 3)
    return policy


def test_rows_of_one_batch_may_have_different_choices_or_none() -> None:
    sampler, streams = LocalSampler(table_of(), frozenset({ENDS})), [strop.streams.stream(0, "t", i) for i in range(40)]
    choices = [Choices(((LEFT,), (GO, ON))), Choices(((GO, ENDS), (GO, ON), (UP,))), None, Choices(((ON,),))] * 10
    drawn = sampler.sample([(0,)] * 40, Sampling(max_tokens=2), streams, choices)
    for one, allowed in zip(drawn, choices, strict=True):
        assert allowed is None or (one.tokens in allowed.tokens and one.finish == "stop")
    assert drawn[3].logprobs == (0.0,)  # one choice alone
    # what a row draws does not depend on the others
    alone = sampler.sample([(0,)], Sampling(max_tokens=2), [strop.streams.stream(0, "t", 1)], choices[1:2])
    assert alone == drawn[1:2]


def test_choices_in_words_do_not_pass_unread() -> None:
    sampling = Sampling(choices=["left", "up"])
    with pytest.raises(ValueError, match=r"strop\.choices\.Choosing"):
        LocalSampler(table_of(), frozenset()).sample([(0,)], sampling, [strop.streams.stream(0, "t")])
    with pytest.raises(ValueError, match=r"strop\.choices\.Choosing"):
        beam_search(table_of(), (0,), sampling, frozenset(), 2)


def test_the_phrases_can_be_enumerated() -> None:
    policy, choices = table_of(), Choices(((LEFT,), (GO, ON), (GO, UP)))
    tree = enumerate_sequences(policy, (0,), Sampling(max_tokens=2), frozenset({ENDS}), choices=choices)
    first, second = (policy.weight[policy.contexts[context]].tolist() for context in ((0,), (0, GO)))
    go = math.exp(first[GO]) / (math.exp(first[GO]) + math.exp(first[LEFT]))
    on = math.exp(second[ON]) / (math.exp(second[ON]) + math.exp(second[UP]))
    assert {y: math.exp(p) for y, p in tree.sequences.items()} == pytest.approx(
        {(LEFT,): 1 - go, (GO, ON): go * on, (GO, UP): go * (1 - on)}
    )


# ------------------------------------------------------------ playing


class Walk:
    """Three steps; at the wall there is nothing but `up`."""

    def __init__(self, task: Task, rng: Any) -> None:
        self.seen: list[str] = []

    def start(self) -> Step:
        return Step("go", choices=["left", "up"])

    def step(self, text: str) -> Step:
        self.seen.append(text)
        if len(self.seen) == 3:
            return Step("on", end=End.TRUNCATED, choices=["right", "up"])
        return Step("on", choices=["up"] if text == "left" else ["left", "go on"])

    def close(self) -> None:
        pass


def scene(environment: Any, context: int | None = None) -> Scene:
    return Scene(environment=environment, rewards={}, codec=WORDS, context=context, seed=0)


def test_legal_moves_are_what_the_environment_says() -> None:
    policy = Table(6, order=1)
    sampler = LocalSampler(policy, WORDS.stop)
    episodes = play(scene(Walk), [Task("0", "")], 16, sampler, Sampling(max_tokens=2), "train", 0)
    assert not any(one.error for one in episodes)
    assert {one.turns[0].text for one in episodes} == {"left", "up"}
    for one in episodes:
        for before, after in zip(one.turns, one.turns[1:], strict=False):
            assert after.text in (["up"] if before.text == "left" else ["left", "go on"])
        assert one.final_choices == Choices(((RIGHT,), (UP,)))


def test_what_cannot_be_chosen_between_fails_its_episode_with_the_reason() -> None:
    class Wrong(Walk):
        def start(self) -> Step:
            return Step("go", choices=["down", "up"])

    class Paid(Walk):
        def start(self) -> Step:
            return Step("go", reward=1.0)

    for environment, told in ((Wrong, "'down' is not in the vocabulary"), (Paid, "a Step with reward 1.0")):
        sampler = LocalSampler(Table(6, order=1), WORDS.stop)
        (one,) = play(scene(environment), [Task("0", "")], 1, sampler, Sampling(max_tokens=2), "train", 0)
        assert one.end is End.FAILED
        assert told in one.error


def test_a_short_choice_needs_no_room_for_max_tokens() -> None:
    sampler = LocalSampler(Table(6, order=1), WORDS.stop)
    sampling = Sampling(max_tokens=30, choices=["left", "up"])
    (one,) = play(scene(strop.environments.SingleTurn, 4), [Task("0", "go on")], 1, sampler, sampling, "train", 0)
    assert one.end is End.TERMINATED
    assert one.turns[0].choices == Choices(((LEFT,), (UP,)))


def test_a_script_says_one_of_the_choices_or_is_told() -> None:
    sampling = Sampling(choices=["left", "go", "go on"], max_tokens=2)
    said = ScriptedSampler(WORDS, lambda prompt: "go")
    (one,) = play(scene(strop.environments.SingleTurn), [Task("0", "on")], 1, said, sampling, "train", 0)
    assert one.turns[0].completion.tokens == (GO, ENDS)
    with pytest.raises(ValueError, match=r"'up' is none of the choices \('left', 'go', 'go on'\)"):
        play(
            scene(strop.environments.SingleTurn),
            [Task("0", "on")],
            1,
            ScriptedSampler(WORDS, lambda prompt: "up"),
            sampling,
            "train",
            0,
        )


# ------------------------------------------------------------ given data


def test_demonstrations_are_choices_without_an_end() -> None:
    tasks = [Task("0", "up", "left"), Task("1", "up", "go")]
    first, second = demonstrations(tasks, WORDS, None, choosing("left", "go", "go on"))
    assert first.turns[0].completion.tokens == (LEFT,)
    assert second.turns[0].completion.tokens == (GO, ENDS)
    assert demonstrations(tasks, WORDS)[0].turns[0].completion.tokens == (LEFT, ENDS)
    with pytest.raises(ValueError, match="task 0: 'left' is none of the choices"):
        demonstrations(tasks, WORDS, None, choosing("right", "go"))


def test_sft_learns_the_choice_and_nothing_of_other_words() -> None:
    policy = Table(6, order=1)
    (shown,) = demonstrations([Task("0", "up", "left")], WORDS, None, choosing("left", "right"))
    SFT.Config(optimizer=SGD(lr=1.0)).build(policy, Sampling(), 4096).update(batch_of(shown))
    # -log pi(left) over two choices of equal logits: its gradient is (-1/2, 1/2)
    assert policy.weight[policy.contexts[(UP,)]].tolist() == [0.5, -0.5, 0.0, 0.0, 0.0, 0.0]


def test_pairs_and_transcripts_are_read_as_choices() -> None:
    reader = choosing("left", "right")
    pair = Task("0", "up", data={"chosen": "left", "rejected": "right"})
    assert [one.turns[0].completion.tokens for one in preferences([pair], WORDS, None, reader)] == [(LEFT,), (RIGHT,)]
    told = [{"text": "left", "reply": "on"}, {"text": "up", "choices": ["up", "go"]}]
    (one,) = played([Task("0", "up", data={"played": told})], WORDS, None, reader)
    assert [t.choices for t in one.turns] == [Choices(((LEFT,), (RIGHT,))), Choices(((UP,), (GO,)))]
    with pytest.raises(ValueError, match=r"turn 1: choices='up': it is a list"):
        played([Task("0", "up", data={"played": [{"text": "up", "choices": "up"}]})], WORDS, None, reader)


# ------------------------------------------------------------ runs


def config(**changed: Any) -> strop.TrainConfig:
    fields: dict[str, Any] = {
        "policy": strop.policies.Table.Config(words=list(WORDS.words[:-1]), has_end=True),
        "tasks": [Task("l", "left", "left"), Task("o", "go on", "go on")],
        "held_out": [Task("h", "go on", "go on")],
        "rewards": {"right": lambda task, episode: float(episode.text == task.answer)},
        "algorithm": strop.algorithms.RLOO.Config(optimizer=SGD(lr=1.0)),
        "sampling": Sampling(choices=["left", "go", "go on"], max_tokens=2),
        "steps": 6,
        "prompts_per_step": 2,
        "checkpoint_every": 2,
    }
    return strop.TrainConfig(**(fields | changed))


def test_a_run_keeps_its_choices_and_reads_them_again(tmp_path: Path) -> None:
    run = strop.train(config(), tmp_path / "run", progress=False)
    kept = run.episodes()
    allowed = Choices(((LEFT,), (GO, ENDS), (GO, ON)))
    assert kept
    assert all(turn.choices == allowed for one in kept for turn in one.turns)
    assert run.config.sampling.choices == ("left", "go", "go on")
    again = [played_episode(as_task(one), WORDS, 0) for one in kept]
    assert [one.turns for one in again] == [one.turns for one in kept]
    with run.directory.reader() as store:
        metrics = run.metrics()
    assert store is not None
    assert max(row.get("policy/entropy", 0.0) for row in metrics) <= math.log(3)
    assert max(row.get("policy/sampler_gap_max", 0.0) for row in metrics) < 1e-12


def test_a_resumed_run_with_choices_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    whole = strop.train(config(), tmp_path / "whole", progress=False)
    strop.train(config(steps=2), tmp_path / "cut", progress=False)
    cut = strop.train(config(), tmp_path / "cut", resume=True, progress=False)
    assert torch.equal(whole.policy.weight, cut.policy.weight)


def test_a_run_with_choices_that_no_policy_can_tell_apart_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'down' is not in the vocabulary"):
        strop.train(config(sampling=Sampling(choices=["left", "down"])), tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match=r"task o: sampling\.choices='moves' names a field"):
        strop.train(config(sampling=Sampling(choices="moves")), tmp_path / "run", progress=False)


def test_the_choices_are_learnt_with_every_kind_of_algorithm(tmp_path: Path) -> None:
    algorithms = strop.algorithms
    for number, algorithm in enumerate(
        (
            algorithms.RLOO.Config(optimizer=SGD(lr=2.0)),
            algorithms.QLearning.Config(rate=0.5),
            algorithms.SARSA.Config(rate=0.5),
            algorithms.DQN.Config(optimizer=SGD(lr=1.0), target_every=1),
        )
    ):
        is_value = number > 0
        sampling = Sampling(choices=["left", "go", "go on"], max_tokens=2, temperature=0.0 if is_value else 1.0)
        sampling = replace(sampling, epsilon=0.3 if is_value else 0.0)
        made = config(algorithm=algorithm, steps=60, sampling=sampling, checkpoint_every=60)
        run = strop.train(made, tmp_path / str(number), progress=False)
        said = [one for one in run.episodes() if isinstance(one, Episode)]
        assert sum(one.reward for one in said) / len(said) > 0.6, algorithm


def test_a_plan_says_what_is_chosen_from_and_how_it_is_judged(tmp_path: Path) -> None:
    many = config(sampling=Sampling(choices=[f"go{' on' * i}" for i in range(8)], max_tokens=9), judgement="choices")
    plan = json.loads(strop.train(many, tmp_path / "run", progress=False).path.joinpath("plan.json").read_text())
    said = " ".join(str(one) for one in plan.values())
    assert "one of go, go on, go on on, go on on on, go on on on on, go on on on on on, ..." in said
    assert "judged at the start and the end, by the likeliest choice" in said


def test_a_card_says_that_only_the_choices_were_compared() -> None:
    codec = HFCodec(fast_tokenizer(tokenizer()))
    for choices, told in ((["no", "yes"], "one of `no`, `yes`"), ("moves", "one of its task's moves")):
        usage = Usage(prompt="x", systems=(), sampling=Sampling(choices=choices))
        (notes,) = _notes(usage, codec, codec.tokenizer)
        assert told in notes
        assert "An answer ends with" not in notes


def test_entropy_over_a_few_choices_has_collapsed_by_their_number() -> None:
    # ln 2 = 0.69 is the most: with a vocabulary of 50,000, whose tenth is 1.08, a fifth of the start alone would do
    played = [episode(restricted_turn((1,), (1,), TWO), reward=reward) for reward in (0.0, 1.0, 0.0, 0.0)]
    begun = Variety().after(0.6, played)
    assert begun.warning(0.1, played, 50_000) == ""
    assert "2 possible actions have at most 0.69" in begun.warning(0.06, played, 50_000)
    free = [*played, episode(turn((1,), (2,)), id="free")]
    assert "50000 possible actions" in begun.warning(0.1, free, 50_000)


def test_a_choice_needs_no_end_and_a_run_whose_tasks_give_them_cannot_chat(tmp_path: Path) -> None:
    moves = [Task("l", "left", "left", {"moves": ["left", "go on"]})]
    changed = {"tasks": moves, "held_out": (), "sampling": Sampling(choices="moves", max_tokens=2)}
    run = strop.train(config(**changed), tmp_path / "run", progress=False)
    with run.directory.reader() as store:
        assert not [event for event in store.events() if "stop token" in event.text]
    assert "chooses between what each task gives it (sampling.choices=moves)" in why_not_chat(run.directory, "run")
    free = strop.train(config(steps=1), tmp_path / "free", progress=False)
    assert why_not_chat(free.directory, "free") == ""
