"""A model by its Hub id, where the Hub cannot be asked."""

import huggingface_hub
import pytest
from huggingface_hub import constants

import tiny_hf
from strop.policies import pretrained


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network, and an empty cache of the Hub's models."""

    def fails(self, model, timeout):
        assert timeout <= 10
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fails)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_model_that_is_nowhere_is_one_line_after_one_question(offline):
    with pytest.raises(ValueError, match=r"owner/none.*neither a folder.*the Hub could not give it \(no network\)"):
        pretrained.load("owner/none")


def test_a_model_in_the_cache_needs_no_network(offline):
    revision = offline / "models--owner--tiny"
    (revision / "refs").mkdir(parents=True)
    (revision / "refs" / "main").write_text("abc")
    tiny_hf.make(revision / "snapshots" / "abc")
    model, codec = pretrained.load("owner/tiny")
    assert model.config.hidden_size == 32
    assert codec.decode(codec.encode("the cat")) == "the cat"
