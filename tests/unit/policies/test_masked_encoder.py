"""A masked encoder: its numbers are transformers' own, whatever stands beside a text, in each of its three uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

import tiny_bert
from exact.build import batch_of, episode, turn
from strop.batch import collate
from strop.functional.value_slots import add_last_value_slots, add_value_slots
from strop.learners.heads import VALUE, state_value, text_scores, values_after
from strop.policies._texts import TextCodec
from strop.policies.adapters import LoRA
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.scratch import Scratch
from strop.samplers.local import LocalSampler
from strop.types import Heads, Pick, Sampling, Tokens
from strop.verify.repeats import differences

WORDS = ("red", "blue", "green", "pink", "grey")
ACTIONS = ("no", "yes", "maybe")
SMALL = {"words": WORDS, "shape": "bert", "width": 8, "num_heads": 2, "context": 24}
NEAR = 1e-5
PROMPTS = ("the cat sat on a mat", "dog", "a good film was on the mat . the dog sat .", "cats")


@pytest.fixture(scope="module", params=tiny_bert.KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.make(tmp_path_factory.mktemp("folder") / "tiny", request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bert.make(tmp_path_factory.mktemp("bert") / "tiny"))


def moved(policy: Any, seed: int = 0) -> Any:
    """The policy with its weights and heads far from where they start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return policy


def classifier(model: str, **given: Any) -> tuple[MaskedEncoder, TextCodec]:
    fields = {"lora": None, "actions": ACTIONS} | given
    policy, codec = MaskedEncoder.Config(model=model, **fields).build(0, "float32")
    return moved(policy), codec


def reader(model: str, **given: Any) -> tuple[MaskedEncoder, TextCodec]:
    return classifier(model, **({"actions": (), "value_head": True} | given))


def logits_of(heads: Heads) -> dict[str, torch.Tensor]:
    assert heads.logits_NV is not None
    return {f"{a}": heads.logits_NV[:, a] for a in range(heads.logits_NV.shape[1])}


# ------------------------------------------------------------ its numbers


def test_vectors_and_words_are_those_of_transformers(folder: Path) -> None:
    policy, _ = MaskedEncoder.Config(model=str(folder), lora=None).build(0, "float32")
    inputs = AutoTokenizer.from_pretrained(folder)(
        list(PROMPTS[:2]), ["on the mat", "sat"], return_tensors="pt", padding=True
    )
    theirs_BTV = AutoModelForMaskedLM.from_pretrained(folder).eval()(**inputs).logits
    tokens_BT, stands_BT = inputs["input_ids"], inputs["attention_mask"].bool()
    vectors_BTH = policy.encode(tokens_BT, stands_BT.sum(dim=1), policy.marks.types(tokens_BT))
    ours: list[torch.Tensor] = []

    def keep(heads: Heads) -> dict[str, torch.Tensor]:
        assert heads.logits_NV is not None
        ours.append(heads.logits_NV)
        return {"stood": heads.tokens_N}

    stood = policy.words(vectors_BTH[stands_BT], tokens_BT[stands_BT], keep)["stood"]
    assert (torch.cat(ours) - theirs_BTV[stands_BT]).abs().max() < NEAR
    assert torch.equal(stood, tokens_BT[stands_BT])
    if "token_type_ids" in inputs:
        assert torch.equal(policy.marks.types(tokens_BT)[stands_BT], inputs["token_type_ids"][stands_BT])


def test_a_prompt_is_read_as_transformers_reads_it(folder: Path) -> None:
    """[CLS] and the prompt and [SEP], and the head reads its first vector; alone or beside longer ones."""
    policy, codec = classifier(str(folder))
    own = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        for (_, theirs), (_, ours) in zip(model.named_parameters(), policy.model.named_parameters(), strict=True):
            theirs.copy_(ours)
    head = policy.added["action_head"]
    together_BV, state = policy.prefill([codec.start(prompt) for prompt in PROMPTS])
    assert state is None
    for prompt, together_V in zip(PROMPTS, together_BV, strict=True):
        assert codec.start(prompt) == tuple(token + len(ACTIONS) for token in own(prompt)["input_ids"])
        first_1H = model.base_model(**own(prompt, return_tensors="pt")).last_hidden_state[:, 0]
        assert (head(first_1H)[0] - together_V).abs().max() < NEAR
        assert (policy.prefill([codec.start(prompt)])[0][0] - together_V).abs().max() < NEAR
    assert (together_BV - together_BV[0])[1:].abs().max() > 1e-2  # they differ


def test_the_loss_reads_what_the_sampler_reads(bert: str) -> None:
    policy, codec = classifier(bert)
    prompts = [codec.start(prompt) for prompt in PROMPTS]
    batch = batch_of(*(episode(turn(prompt, (i % 3,))) for i, prompt in enumerate(prompts)), layout=policy.layout)
    found = policy.heads(batch, logits_of)
    wanted_BV, at = policy.prefill(prompts)[0], batch.decision_BT
    assert at.sum(dim=1).tolist() == [1] * len(prompts)
    for action in range(len(ACTIONS)):
        assert (found[str(action)][at] - wanted_BV[:, action]).abs().max() < NEAR
    rngs = [np.random.default_rng(i) for i in range(4)]
    sampled = LocalSampler(policy, codec.stop).sample(prompts, Sampling(max_tokens=1), rngs)
    for completion, wanted_V in zip(sampled, wanted_BV.log_softmax(-1), strict=True):
        assert completion.logprobs is not None
        assert abs(completion.logprobs[0] - wanted_V[completion.tokens[0]].item()) < NEAR


def test_every_turn_is_a_text_of_its_own_and_a_value_may_stand_behind_the_last(bert: str) -> None:
    from strop.types import End

    policy, codec = classifier(bert, value_head=True)
    first, second = codec.start("the cat"), codec.extend(codec.start("the cat"), (1,), "a good film")
    assert second == codec.start("a good film")
    whole = episode(turn(first, (1,)), turn(second, (2,)), end=End.TRUNCATED, final=codec.start("dog"))
    batch = batch_of(whole, layout=policy.layout)
    value_BT = policy.heads(batch, state_value, VALUE)["value"]
    head = policy.added["value_head"]
    for row, prompt in enumerate((first, second, codec.start("dog"))):
        vectors_1TH = policy.model.bert(input_ids=torch.tensor([prompt]) - len(ACTIONS)).last_hidden_state
        wanted = head(vectors_1TH[0, 0]).item()
        assert abs(value_BT[row, len(prompt)].item() - wanted) < NEAR


def test_an_action_in_a_prompt_is_refused(bert: str) -> None:
    policy, codec = classifier(bert)
    batch = collate((Pick(episode(turn(codec.start("the cat"), (1, 2)))),), "joined")
    with pytest.raises(ValueError, match="an action stands in a prompt"):
        policy.heads(batch, logits_of)
    with pytest.raises(ValueError, match=r"set sampling\.max_tokens=1"):
        policy.decode(None, torch.tensor([0]))


# ------------------------------------------------------------ reward models


def scores(policy: MaskedEncoder, codec: TextCodec, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    texts = [turn(codec.start(prompt), (*codec.encode(answer), codec.end), None) for prompt, answer in pairs]
    return text_scores(policy, add_last_value_slots(batch_of(*map(episode, texts), layout=policy.layout)))


def test_a_score_is_read_from_the_first_vector_of_prompt_and_answer(folder: Path) -> None:
    policy, codec = reader(str(folder))
    own = AutoTokenizer.from_pretrained(folder)
    pairs = [("the cat", "sat on the mat"), ("dog", "bad"), ("", "a good film"), ("a good film was on", "mat")]
    found = scores(policy, codec, pairs)
    for (prompt, answer), score in zip(pairs, found, strict=True):
        inputs = own(*(text for text in (prompt, answer) if text), return_tensors="pt")
        if policy.encoder.num_types < 2:
            inputs.pop("token_type_ids", None)
        wanted = policy.added["value_head"](policy.model.base_model(**inputs).last_hidden_state[0, 0])
        assert abs(wanted.item() - score.item()) < NEAR
    assert abs(scores(policy, codec, pairs[1:2])[0].item() - found[1].item()) < NEAR  # alone
    assert len({round(score.item(), 3) for score in found}) == len(pairs)


def test_a_score_takes_one_text_of_the_encoder(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, codec = reader(bert)
    read: list[int] = []
    usual = policy.encode
    monkeypatch.setattr(
        policy, "encode", lambda tokens_BT, *more: read.append(len(tokens_BT)) or usual(tokens_BT, *more)
    )
    scores(policy, codec, [("the cat", "sat on the mat"), ("dog", "bad")])
    assert read == [2]


def test_a_value_behind_a_token_sees_nothing_behind_it(bert: str) -> None:
    policy, codec = reader(bert)
    prompt, answer = codec.start("the cat"), codec.encode("sat on the mat")
    batch = batch_of(episode(turn(prompt, answer, None)))
    value_1T = values_after(policy, add_value_slots(batch, batch.action_BT))
    for t in range(len(answer)):
        stood = torch.tensor([(*prompt, *answer[: t + 1])])
        vectors_1TH = policy.model.bert(input_ids=stood, token_type_ids=policy.marks.types(stood)).last_hidden_state
        wanted = policy.added["value_head"](vectors_1TH[0, 0])
        assert abs(wanted.item() - value_1T[0, len(prompt) + t].item()) < NEAR


# ------------------------------------------------------------ what it does not do


def test_it_writes_nothing(bert: str) -> None:
    for given in ({"actions": ()}, {"actions": (), "value_head": True}):
        policy, codec = classifier(bert, **given)
        with pytest.raises(ValueError, match="writes none"):
            policy.prefill([codec.start("the cat")])
        with pytest.raises(ValueError, match="writes none"):
            policy.heads(batch_of(episode(turn(codec.start("a"), (5,)))), logits_of)
        with pytest.raises(ValueError, match="writes none"):
            LocalSampler(policy, codec.stop).sample([codec.start("a")], Sampling(), [np.random.default_rng(0)])
    with pytest.raises(ValueError, match="value_head"):
        classifier(bert)[0].heads(batch_of(episode(turn((5,), (0,)))), state_value, VALUE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"has_end": False}, r"policy\.has_end=false: shape=bert needs the token"),
        ({"shape": "llama", "actions": ACTIONS}, "shape=llama writes tokens"),
        ({"actions": ("yes", "yes")}, "each of them is given once"),
    ],
)
def test_what_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scratch(**(SMALL | given)).build(0, "float32")


def test_an_action_that_is_none_is_named(bert: str) -> None:
    with pytest.raises(ValueError, match="'never' is not one of the actions"):
        classifier(bert)[1].encode("never")


# ------------------------------------------------------------ contexts


@pytest.mark.parametrize(("given", "room"), [({}, -3), ({"actions": ACTIONS}, 1), ({"value_head": True}, 0)])
def test_the_context_leaves_room_for_what_is_put_around_a_text(given: dict[str, Any], room: int) -> None:
    assert Scratch(**SMALL, **given).build(0, "float32")[0].context == SMALL["context"] + room


def test_the_longest_text_can_be_read_and_no_longer_one(folder: Path) -> None:
    policy, codec = classifier(str(folder))
    longest = " ".join(["cat"] * (tiny_bert.CONTEXT - 2))
    assert len(codec.start(longest)) + 1 == policy.context
    assert policy.prefill([codec.start(longest)])[0].isfinite().all()


# ------------------------------------------------------------ weights


def test_what_the_output_head_alone_reads_rests_in_a_classifier(bert: str) -> None:
    names = set(classifier(bert)[0].state_dict()["trainable"])
    assert {"action_head.weight", "action_head.bias", "bert.embeddings.word_embeddings.weight"} <= names
    assert not any(name.startswith("cls.") for name in names)
    pretrained, _ = MaskedEncoder.Config(model=bert, lora=None).build(0, "float32")
    assert any(name.startswith("cls.") for name in pretrained.state_dict()["trainable"])


@pytest.mark.parametrize("given", [{"actions": ACTIONS, "value_head": True}, {"actions": (), "value_head": True}])
@pytest.mark.parametrize("lora", [None, LoRA(rank=2)])
def test_the_gradient_reaches_every_parameter(bert: str, given: dict[str, Any], lora: LoRA | None) -> None:
    policy, codec = classifier(bert, lora=lora, **given)
    text = codec.start("the cat sat"), ((1,) if given["actions"] else codec.encode("on a mat"))
    both = frozenset({"value"} | ({"logits"} if given["actions"] else set()))

    def everything(heads: Heads) -> dict[str, torch.Tensor]:
        assert heads.value_N is not None
        logits = 0.0 if heads.logits_NV is None else heads.logits_NV.log_softmax(-1)[:, 0]
        return {"sum": heads.value_N + logits}

    policy.heads(batch_of(episode(turn(*text)), layout=policy.layout), everything, both)["sum"].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in policy.parameters())
    assert all(p.grad is None for p in policy.model.parameters() if not p.requires_grad)


@pytest.mark.parametrize("lora", [None, LoRA(rank=2)])
def test_copies_go_their_own_way(bert: str, lora: LoRA | None) -> None:
    policy, codec = classifier(bert, lora=lora)
    prompts = [codec.start(prompt) for prompt in PROMPTS]
    before = policy.prefill(prompts)[0]
    reference, twin = policy.reference(), policy.twin()
    assert not any(parameter.requires_grad for parameter in reference.parameters())
    assert all(parameter.requires_grad for parameter in twin.parameters())
    assert reference.lock is not policy.lock is not twin.lock
    moved(policy, seed=1)
    assert not torch.equal(policy.prefill(prompts)[0], before)
    assert torch.equal(twin.prefill(prompts)[0], before)
    assert torch.equal(reference.prefill(prompts)[0], before)
    after = policy.prefill(prompts)[0]
    moved(twin, seed=2)
    assert torch.equal(policy.prefill(prompts)[0], after)


def test_a_copy_fills_in_with_weights_of_its_own() -> None:
    policy, _ = Scratch(**SMALL).build(0, "float32")
    twin = moved(policy.twin())
    vectors_NH, tokens_N = torch.ones(3, 8), torch.tensor([0, 1, 2])

    def first(heads: Heads) -> dict[str, torch.Tensor]:
        assert heads.logits_NV is not None
        return {"first": heads.logits_NV[:, 0]}

    before = policy.words(vectors_NH, tokens_N, first)["first"]
    assert not torch.equal(twin.words(vectors_NH, tokens_N, first)["first"], before)
    assert twin.model.get_output_embeddings().weight is twin.model.get_input_embeddings().weight


@pytest.mark.parametrize("lora", [None, LoRA(rank=2)])
def test_its_state_makes_another_policy_the_same_in_place(bert: str, lora: LoRA | None) -> None:
    policy, codec = classifier(bert, lora=lora, value_head=True)
    other, _ = MaskedEncoder.Config(model=bert, lora=lora, actions=ACTIONS, value_head=True).build(1, "float32")
    parameters = other.parameters()
    other.load_state_dict(policy.state_dict())
    assert differences(policy.state_dict(), other.state_dict()) == 0
    assert all(a is b for a, b in zip(parameters, other.parameters(), strict=True))
    prompts = [codec.start(prompt) for prompt in PROMPTS]
    assert torch.equal(other.prefill(prompts)[0], policy.prefill(prompts)[0])


def test_an_adapter_starts_where_the_base_is_and_is_merged_into_the_next_start(bert: str) -> None:
    plain, codec = MaskedEncoder.Config(model=bert, lora=None).build(0, "float32")
    adapted, _ = MaskedEncoder.Config(model=bert, lora=LoRA(rank=2)).build(0, "float32")
    tokens_BT = torch.tensor([codec.start(PROMPTS[0])])
    inputs = (tokens_BT, torch.tensor([tokens_BT.shape[1]]), torch.zeros_like(tokens_BT))
    assert (adapted.encode(*inputs) - plain.encode(*inputs)).abs().max() < NEAR
    wanted = moved(adapted).encode(*inputs).detach()
    assert (wanted - plain.encode(*inputs)).abs().max() > 1e-2
    again = adapted.restarted(LoRA(rank=3), 5, False, codec)
    assert (again.encode(*inputs) - wanted).abs().max() < NEAR
    whole = again.restarted(None, 0, True, codec)
    assert (whole.encode(*inputs) - wanted).abs().max() < NEAR
    assert not whole.fills
    assert whole.has_values
    assert not whole.has_adapter


def test_a_head_stays_for_the_same_actions_and_is_new_for_others(bert: str) -> None:
    policy, codec = classifier(bert, value_head=True)
    kept = {name: head.weight.clone() for name, head in policy.added.items()}
    same = policy.restarted(None, 0, True, codec)
    assert all(torch.equal(same.added[name].weight, kept[name]) for name in kept)
    other = same.restarted(None, 0, True, codec.with_actions(("a", "b", "c")))
    assert other.added["action_head"].weight.abs().max() == 0.0
    assert torch.equal(other.added["value_head"].weight, kept["value_head"])
    assert same.restarted(None, 0, False, codec.with_actions(())).added == {}


def test_bfloat16_is_near(bert: str) -> None:
    exact, codec = classifier(bert)
    rounded, _ = MaskedEncoder.Config(model=bert, lora=None, actions=ACTIONS).build(0, "bfloat16")
    rounded.load_state_dict(exact.state_dict())
    prompts: list[Tokens] = [codec.start(prompt) for prompt in PROMPTS]
    ours_BV, wanted_BV = rounded.prefill(prompts)[0], exact.prefill(prompts)[0]
    assert ours_BV.dtype == torch.float32
    assert 0.0 < (ours_BV - wanted_BV).abs().max() < 0.3
    assert all(parameter.dtype == torch.float32 for parameter in rounded.parameters())


def test_the_same_seed_gives_the_same_model_from_scratch() -> None:
    first, second, other = (Scratch(**SMALL).build(seed, "float32")[0] for seed in (0, 0, 1))
    assert differences(first.state_dict(), second.state_dict()) == 0
    assert differences(first.state_dict(), other.state_dict()) > 0
    with pytest.raises(ValueError, match="float32 or bfloat16"):
        replace(Scratch(**SMALL)).build(0, "float16")
