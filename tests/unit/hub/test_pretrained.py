"""A model by its Hub id, where the Hub cannot be asked."""

from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

import tiny_hf
from strop.hub import pretrained
from strop.policies.transformer import Transformer


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


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what lies where")
def test_weights_that_train_leave_the_files_memory_and_stay_tied(tmp_path):
    folder = str(tiny_hf.make(tmp_path / "tiny"))
    loaded, _ = pretrained.load(folder)
    policy, _ = Transformer.Config(model=folder, lora=None).build(0, "float32")
    maps = Path("/proc/self/maps").read_text().splitlines()
    of_files = [line.split()[0].split("-") for line in maps if ".safetensors" in line]

    def in_a_file(tensor):
        return any(int(first, 16) <= tensor.data_ptr() < int(end, 16) for first, end in of_files)

    assert policy.model.lm_head.weight is policy.model.base_model.embed_tokens.weight
    for (name, own), (_, theirs) in zip(policy.model.named_parameters(), loaded.named_parameters(), strict=True):
        assert torch.equal(own, theirs), name
        assert (in_a_file(theirs), in_a_file(own)) == (True, False), name
