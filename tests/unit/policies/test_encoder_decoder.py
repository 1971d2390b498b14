"""Sequence-to-sequence folders that transformers wrote: its own loss and its own generate() are the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import strop
import tiny_pairs
from strop.functional.value_slots import add_last_value_slots
from strop.learners.heads import VALUE, state_value, text_scores
from strop.learners.logprobs import read_actions
from strop.planning.beam import beam_search
from strop.policies import EncoderDecoder, LoRA, Transformer
from strop.runs.trained import named_policy
from strop.samplers import LocalSampler
from strop.types import End, Sampling, Tokens
from strop.verify.episodes import batch_of, episode, turn
from tiny_pairs import BEGIN, END, PAD

KINDS = ["t5", "bart", "marian"]
SOURCES = ["red blue green", "pink", "grey red red blue pink"]
TARGETS = ["rot blau", "grey grey grey pink", "blau"]
every = pytest.mark.parametrize("kind", KINDS)


def built(kind: str, folder: Path, lora: LoRA | None = None, **given: Any) -> tuple[EncoderDecoder, Any]:
    tiny_pairs.make(folder / kind, kind)
    return EncoderDecoder.Config(model=str(folder / kind), lora=lora, **given).build(0, "float32")


def batch_from(codec: Any, sources: list[str], targets: list[str]) -> Any:
    pairs = zip(sources, targets, strict=True)
    rows = [(codec.start(source), (*codec.encode(target), codec.end)) for source, target in pairs]
    return batch_of(*(episode(turn(*row), group=i) for i, row in enumerate(rows)), layout="per_turn")


def actions(read_BT: Tensor, batch: Any) -> list[Tensor]:
    return list(torch.split(read_BT[batch.action_BT], batch.action_BT.sum(dim=1).tolist()))


def model_of(kind: str, folder: Path) -> Any:
    """The folder in transformers alone."""
    from transformers import AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM.from_pretrained(folder / kind, dtype=torch.float32).eval()


@every
def test_its_log_probs_are_those_of_transformers_for_each_row_alone(kind: str, tmp_path: Path) -> None:
    policy, codec = built(kind, tmp_path)
    model = model_of(kind, tmp_path)
    batch = batch_from(codec, SOURCES, TARGETS)
    found = actions(read_actions(policy, batch, Sampling())["logprobs"], batch)
    for source, target, found_T in zip(SOURCES, TARGETS, found, strict=True):
        first = (BEGIN,) if kind == "bart" else ()
        labels_1T = torch.tensor([[*first, *codec.encode(target), END]])
        logits_TV = model(input_ids=torch.tensor([codec.start(source)]), labels=labels_1T).logits[0]
        if kind == "marian":
            logits_TV[:, PAD] = -torch.inf  # its generation config forbids it
        wanted_T = logits_TV.log_softmax(-1).gather(1, labels_1T.T)[len(first) :, 0]
        torch.testing.assert_close(found_T, wanted_T, rtol=0, atol=1e-5)


@every
def test_greedy_answers_are_those_of_generate(kind: str, tmp_path: Path) -> None:
    policy, codec = built(kind, tmp_path)
    model = model_of(kind, tmp_path)
    prompts = [codec.start(source) for source in SOURCES]
    sampling = Sampling(temperature=0.0, max_tokens=6)
    rngs = [np.random.default_rng(i) for i in range(len(prompts))]
    completions = LocalSampler(policy, codec.stop).sample(prompts, sampling, rngs)
    assert len({one.tokens for one in completions}) > 1
    skipped = 2 if kind == "bart" else 1
    for prompt, completion in zip(prompts, completions, strict=True):
        out = model.generate(torch.tensor([prompt]), do_sample=False, num_beams=1, max_new_tokens=6 + skipped - 1)
        assert completion.tokens == tuple(out[0, skipped:].tolist())


@pytest.mark.matrix
def test_the_best_beam_is_the_likeliest_answer_of_all(tmp_path: Path) -> None:
    policy, codec = built("t5", tmp_path)
    prompt, sampling = codec.start(SOURCES[0]), Sampling(max_tokens=2)
    best = beam_search(policy, prompt, sampling, codec.stop, width=50)[0]
    scores: dict[Tokens, float] = {}
    for first in range(policy.vocabulary):
        for tokens in [(first,)] if first == END else [(first, second) for second in range(policy.vocabulary)]:
            batch = batch_of(episode(turn(prompt, tokens)), layout="per_turn")
            scores[tokens] = read_actions(policy, batch, Sampling())["logprobs"].sum().item()
    assert best.tokens == max(scores, key=scores.__getitem__)
    assert best.logprob == pytest.approx(max(scores.values()), abs=1e-5)


@every
def test_sampled_log_probs_are_those_of_teacher_forcing(kind: str, tmp_path: Path) -> None:
    policy, codec = built(kind, tmp_path)
    prompts = [codec.start(source) for source in SOURCES for _ in range(3)]
    rngs = [np.random.default_rng(i) for i in range(len(prompts))]
    completions = LocalSampler(policy, codec.stop).sample(prompts, Sampling(max_tokens=8), rngs)
    rows = [turn(prompt, one.tokens) for prompt, one in zip(prompts, completions, strict=True)]
    batch = batch_of(*(episode(row, group=i) for i, row in enumerate(rows)), layout="per_turn")
    found = actions(read_actions(policy, batch, Sampling())["logprobs"], batch)
    assert len({len(one.tokens) for one in completions}) > 1
    for found_T, completion in zip(found, completions, strict=True):
        assert completion.logprobs is not None
        torch.testing.assert_close(found_T.double(), torch.tensor(completion.logprobs).double(), rtol=0, atol=1e-5)
    if kind == "marian":
        assert all(PAD not in one.tokens for one in completions)


def test_a_source_is_read_once_for_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, codec = built("t5", tmp_path)
    read = []
    encode = type(policy.runner).encode

    def counted(runner: Any, model: Any, sources: Any) -> Any:
        read.append(len(sources))
        return encode(runner, model, sources)

    monkeypatch.setattr(type(policy.runner), "encode", counted)
    batch = batch_from(codec, [SOURCES[0]] * 3 + [SOURCES[1]], [*TARGETS, "rot"])
    read_actions(policy, batch, Sampling())
    rngs = [np.random.default_rng(i) for i in range(4)]
    LocalSampler(policy, codec.stop).sample([codec.start(SOURCES[0])] * 4, Sampling(max_tokens=3), rngs)
    assert read == [2, 1]


@every
def test_a_value_is_read_from_the_decoder(kind: str, tmp_path: Path) -> None:
    policy, codec = built(kind, tmp_path, value_head=True)
    with torch.no_grad():
        policy.added["value_head"].weight.copy_(torch.linspace(-1.0, 1.0, 16))
    model, start = model_of(kind, tmp_path), policy.runner.start
    source, final, answer = codec.start(SOURCES[0]), codec.start(SOURCES[2]), codec.encode(TARGETS[0])

    def value_of(prompt: Tokens, written: Tokens) -> float:
        """Behind so much of an answer, by transformers alone."""
        read = {"input_ids": torch.tensor([prompt]), "decoder_input_ids": torch.tensor([[*start, *written]])}
        hidden_H = model(**read, output_hidden_states=True).decoder_hidden_states[-1][0, -1]
        return (hidden_H @ torch.linspace(-1.0, 1.0, 16)).item()

    cut = batch_of(episode(turn(source, answer), end=End.TRUNCATED, final=final), layout="per_turn")
    value_BT = policy.heads(cut, state_value, VALUE)["value"].detach()
    assert cut.tokens_BT.shape[0] == 2  # the next prompt is a source of its own
    assert value_BT[0, len(source)].item() == pytest.approx(value_of(source, ()), abs=1e-5)
    assert value_BT[0, len(source) + 1].item() == pytest.approx(value_of(source, answer[:1]), abs=1e-5)
    assert value_BT[1, len(final)].item() == pytest.approx(value_of(final, ()), abs=1e-5)
    judged = add_last_value_slots(batch_of(episode(turn(source, answer)), layout="per_turn"))
    score = text_scores(policy, judged).item()
    assert score == pytest.approx(value_of(source, answer), abs=1e-5)


def test_a_later_turn_reads_one_source_that_ends_once(tmp_path: Path) -> None:
    _, codec = built("bart", tmp_path)
    first = codec.start("red")
    assert first == (BEGIN, 4, END)
    assert codec.extend(first, (5, END), "green pink") == (BEGIN, 4, 5, 6, 7, END)
    assert codec.extend(first, (5,), "green") == (BEGIN, 4, 5, 6, END)  # an answer that was cut
    assert codec.decode((5, END)) == "blue"


@pytest.mark.matrix
@every
def test_an_adapter_starts_as_nothing_and_its_reference_stays(kind: str, tmp_path: Path) -> None:
    adapted, codec = built(kind, tmp_path, LoRA(rank=2, num_layers=1))
    batch = batch_from(codec, SOURCES, TARGETS)
    before_BT = read_actions(adapted, batch, Sampling())["logprobs"].detach()
    plain = EncoderDecoder.Config(model=str(tmp_path / kind), lora=None).build(0, "float32")[0]
    torch.testing.assert_close(before_BT, read_actions(plain, batch, Sampling())["logprobs"].detach())
    names = [name for name, p in adapted.model.named_parameters() if p.requires_grad]
    assert all(".1." in name for name in names)  # the second layer of each half
    assert {name.split("coder")[0].split(".")[-1] for name in names} == {"en", "de"}
    reference = adapted.reference()
    assert reference.layout == "per_turn"
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.add_(0.3)
    assert (read_actions(adapted, batch, Sampling())["logprobs"] - before_BT).abs().max() > 1e-2
    torch.testing.assert_close(read_actions(reference, batch, Sampling())["logprobs"], before_BT)
    merged = adapted.restarted(None, 0, value_head=False)
    frozen = [name for name, p in merged.model.named_parameters() if not p.requires_grad]
    assert all("embed_positions" in name for name in frozen)  # Marian's sines
    assert bool(frozen) == (kind == "marian")


@pytest.mark.matrix
@every
def test_an_exported_run_is_a_folder_of_transformers(kind: str, tmp_path: Path) -> None:
    tiny_pairs.make(tmp_path / kind, kind)
    run = strop.train(
        strop.TrainConfig(
            policy=str(tmp_path / kind),
            tasks=[strop.Task("a", SOURCES[0], answer="rot"), strop.Task("b", SOURCES[1], answer="blau")],
            rewards=[lambda task, one: float(task.answer in one.text)],
            algorithm=strop.algorithms.RLOO.Config(optimizer=strop.optimizer.AdamW(lr=0.01)),
            sampling=strop.Sampling(max_tokens=3),
            group_size=4,
            prompts_per_step=2,
            steps=1,
            threads=1,
            dtype="float32",
        ),
        tmp_path / "run",
        progress=False,
    )
    from strop.cli.main import main

    assert main(["export", str(run.path), str(tmp_path / "out")]) == 0
    assert "AutoModelForSeq2SeqLM" in (tmp_path / "out" / "README.md").read_text()
    policy, codec = named_policy(str(tmp_path / "out")).build(0, "float32")
    assert isinstance(policy, EncoderDecoder)
    batch = batch_from(codec, SOURCES, TARGETS)
    torch.testing.assert_close(
        read_actions(policy, batch, Sampling())["logprobs"],
        read_actions(run.policy, batch, Sampling())["logprobs"],
        rtol=0,
        atol=1e-5,
    )


def test_a_folder_of_the_other_form_is_named(tmp_path: Path) -> None:
    import tiny_hf

    tiny_pairs.make(tmp_path / "pair", "t5")
    tiny_hf.make(tmp_path / "causal")
    assert isinstance(named_policy(str(tmp_path / "pair")), EncoderDecoder.Config)
    assert isinstance(named_policy(str(tmp_path / "causal")), Transformer.Config)
    with pytest.raises(ValueError, match=r"sequence to sequence model \(t5\).*strop\.policies\.EncoderDecoder"):
        Transformer.Config(model=str(tmp_path / "pair")).build(0, "float32")
    with pytest.raises(ValueError, match=r"causal model \(llama\).*strop\.policies\.Transformer"):
        EncoderDecoder.Config(model=str(tmp_path / "causal")).build(0, "float32")


def test_a_model_without_a_start_token_is_named(tmp_path: Path) -> None:
    from strop.hub.sequence import first_tokens

    tiny_pairs.make(tmp_path / "pair", "t5")
    model = model_of("pair", tmp_path)
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    with pytest.raises(ValueError, match="no decoder_start_token_id"):
        first_tokens(model)
