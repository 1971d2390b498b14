"""Conversations as records: they go on from the tokens that stand, and print nothing."""

from pathlib import Path

import pytest

import strop
import table_run
import tiny_hf
from strop.serving.actor import Checkpoint, Model, find, load
from strop.serving.conversation import ContextFull, Conversation


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory) -> Path:
    """A tiny Llama with a chat template."""
    return tiny_hf.make(tmp_path_factory.mktemp("served") / "tiny")


def test_a_conversation_extends_the_tokens_so_far(tiny_model, capsys):
    talk = Conversation.begin(load(find(str(tiny_model))), "be kind", {"max_tokens": 5}, seed=0)
    talk.answer("the cat")
    stood = talk.prompt + talk.answered
    talk.answer("and the dog")
    assert talk.prompt[: len(stood)] == stood
    first = talk.actor.codec.decode(talk.prompt)
    assert first.count("<|im_start|>") == 5  # system, user, assistant, user, assistant
    assert capsys.readouterr() == ("", "")


def test_a_reply_has_its_limit_and_a_full_context_is_refused(tiny_model):
    actor = load(find(str(tiny_model)))
    talk = Conversation.begin(actor, None, {"max_tokens": 4}, seed=0)
    assert talk.answer("the cat").limit is None
    talk = Conversation.begin(actor, None, {"max_tokens": actor.policy.context}, seed=0)
    assert talk.answer("the cat").limit == actor.policy.context - len(talk.prompt)
    stood = talk.prompt, talk.answered
    with pytest.raises(ContextFull, match="start a new conversation"):
        talk.answer("cat " * 300)
    assert (talk.prompt, talk.answered) == stood
    talk.start_over()
    with pytest.raises(ContextFull, match="write a shorter message"):
        talk.answer("cat " * 300)


def test_a_name_is_a_run_a_model_here_or_one_of_the_hub(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strop.train(table_run.config(), "runs/mine", progress=False)
    found = find("mine@best")
    assert isinstance(found, Checkpoint)
    assert (found.directory.path, found.selector) == (Path("runs/mine"), "best")
    assert find(str(tiny_model)) == Model(str(tiny_model), is_local=True)
    assert find("someone/something") == Model("someone/something", is_local=False)
    with pytest.raises(ValueError, match=r"no run and no model 'mime'; did you mean mine\?"):
        find("mime")
    with pytest.raises(ValueError, match=r"is no run .* and no model folder"):
        find(str(tmp_path))


def test_a_run_acts_without_its_training_noise(tmp_path):
    config = table_run.config(sampling=strop.Sampling(max_tokens=1, epsilon=0.5))
    run = strop.train(config, tmp_path / "run", progress=False)
    actor = load(Checkpoint(run.directory, "latest"))
    assert (actor.sampling.epsilon, actor.sampling.max_tokens) == (0.0, 1)
    assert actor.name == str(run.path)
