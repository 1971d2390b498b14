"""Rollouts over HTTP from a real server: whose log-probs they are, how near to the learner's, and of which weights."""

import math
from dataclasses import replace

import pytest
import torch

import fleet
import http_server
import strop
import tiny_hf
from strop.batch import collate
from strop.functional.distributions import gather, probs_of
from strop.types import End, Pick, Step


def of_episodes(run):
    return [
        (turn.prompt, turn.completion.tokens, turn.completion.logprobs, episode.version)
        for episode in run.episodes()
        for turn in episode.turns
    ]


def test_the_behaviour_log_probs_are_the_servers_of_the_weights_of_their_step(tmp_path, monkeypatch):
    config = fleet.config(steps=3, checkpoint_every=1, seed=4)
    with http_server.learning(config, tmp_path / "weights", monkeypatch) as listening:
        run = strop.train(replace(config, engine=listening.engine), tmp_path / "run", keep_all=True, progress=False)
    told = [
        (tuple(one["prompt_token_ids"]), tuple(one["token_ids"]), tuple(one["logprobs"]["token_logprobs"]))
        for answer in listening.answers
        for one in answer["choices"]
    ]
    kept = of_episodes(run)
    assert sorted(told) == sorted(one[:3] for one in kept)
    assert len(kept) == 3 * 3 * 4
    versions = [answer["version"] for answer in listening.answers]
    assert [versions.count(one) for one in dict.fromkeys(versions)] == [12, 12, 12]
    assert max(one["policy/sampler_gap_max"] for one in run.metrics()) < 1e-5
    for prompt, tokens, logprobs, version in kept:
        assert logprobs == pytest.approx(by_hand(config, run, version, prompt, tokens), abs=1e-5)


def by_hand(config, run, version, prompt, tokens):
    """The log-probs of a checkpoint, token by token with one full forward pass each."""
    policy, _ = config.policy.build(seed=0, dtype="float32", device="cpu")
    policy.load_state_dict(run.directory.load(version)[1]["policy"])
    found = []
    with torch.inference_mode():
        for i, token in enumerate(tokens):
            logits_BV, _ = policy.prefill([(*prompt, *tokens[:i])])
            probs_BV = probs_of(logits_BV, strop.Sampling())
            found.append(math.log(gather(probs_BV, torch.tensor([token])).item()))
    return found


def test_a_temperature_is_the_servers_too(tmp_path, monkeypatch):
    """At temperature .5 the server's log-probs are those of the sharper distribution, as the learner's are."""
    config = fleet.config(steps=1, sampling=strop.Sampling(max_tokens=2, temperature=0.5))
    with http_server.learning(config, tmp_path / "weights", monkeypatch) as listening:
        run = strop.train(replace(config, engine=listening.engine), tmp_path / "run", progress=False)
    assert run.metrics()[0]["policy/sampler_gap_max"] < 1e-5


@pytest.mark.slow
def test_an_adapter_is_published_and_not_its_base(tmp_path, monkeypatch):
    model = tiny_hf.make(tmp_path / "tiny", template=False, words=fleet.WORDS)
    policy = strop.policies.Transformer.Config(model=str(model), lora=strop.policies.LoRA(rank=2))
    config = fleet.config(policy=policy, steps=3)
    with http_server.learning(config, tmp_path / "weights", monkeypatch) as listening:
        run = strop.train(replace(config, engine=listening.engine), tmp_path / "run", progress=False)
    assert max(one["policy/sampler_gap_max"] for one in run.metrics()) < 1e-5
    (published,) = (tmp_path / "weights").glob("*.safetensors")
    assert published.stat().st_size < sum(file.stat().st_size for file in model.glob("*.safetensors"))


class Echo:
    """Says what it was told twice, and pays for the first word in the end."""

    def __init__(self, task, rng):
        self.task, self.turns = task, 0

    def start(self):
        return self.task.prompt

    def step(self, text):
        self.turns += 1
        paid = float(text.split()[:1] == [self.task.answer])
        return Step("green") if self.turns == 1 else Step("", reward=paid, end=End.TERMINATED)

    def close(self):
        pass


def test_the_second_turn_is_asked_with_the_tokens_of_the_first(tmp_path, monkeypatch):
    config = fleet.config(steps=1, environment=Echo, rewards=())
    with http_server.learning(config, tmp_path / "weights", monkeypatch) as listening:
        run = strop.train(replace(config, engine=listening.engine), tmp_path / "run", progress=False)
    asked = [tuple(answer["choices"][0]["prompt_token_ids"]) for answer in listening.answers]
    for episode in run.episodes():
        first, second = episode.turns
        assert second.prompt[: len(first.prompt) + len(first.completion.tokens)] == (
            *first.prompt,
            *first.completion.tokens,
        )
        assert second.prompt in asked
    assert run.metrics()[0]["policy/sampler_gap_max"] < 1e-5


def test_a_server_of_another_policy_is_refused_before_anything_is_played(tmp_path, monkeypatch):
    from strop.types import Stopped

    config = fleet.config()
    other = fleet.config(policy=replace(config.policy, width=32))
    with (
        http_server.learning(other, tmp_path / "weights", monkeypatch) as listening,
        pytest.raises(Stopped, match=r"did not load weights .*these weights are not loaded.*with the same policy"),
    ):
        strop.train(replace(config, engine=listening.engine), tmp_path / "run", progress=False)
    assert listening.answers == []


def test_what_a_batch_holds_is_what_the_server_said(tmp_path, monkeypatch):
    config = fleet.config(steps=1)
    with http_server.learning(config, tmp_path / "weights", monkeypatch) as listening:
        run = strop.train(replace(config, engine=listening.engine), tmp_path / "run", progress=False)
    episodes = run.episodes()
    batch = collate(tuple(Pick(one) for one in episodes), "joined")
    said = sorted(x for answer in listening.answers for x in answer["choices"][0]["logprobs"]["token_logprobs"])
    assert sorted(batch.logprobs_BT[batch.action_BT].tolist()) == pytest.approx(said, abs=1e-6)
