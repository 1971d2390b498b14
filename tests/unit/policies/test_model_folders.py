"""Folders that are no whole model: one sentence that names the file and the tensors, and never random weights."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_hf
from strop.hub import pretrained
from strop.policies.perplexity import Perplexity
from strop.policies.transformer import Transformer

WEIGHTS = "model.safetensors"
MLP = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_hf.make(tmp_path_factory.mktemp("whole") / "tiny")


@pytest.fixture(scope="module")
def in_parts(whole, tmp_path_factory):
    """The same weights in several files."""
    folder = tmp_path_factory.mktemp("parts") / "tiny"
    shutil.copytree(whole, folder)
    model, _ = pretrained.load(str(whole))
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "tiny")


def tensors(folder, change):
    """Write the weights again, with some of them changed; None leaves one out."""
    before = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
    after = {name: tensor for name, tensor in (before | change(before)).items() if tensor is not None}
    save_file(after, folder / WEIGHTS, metadata={"format": "pt"})


def settings(folder, file, **changes):
    """Change fields of a JSON file."""
    fields = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(fields | changes))


def text(file, content):
    return lambda folder: (folder / file).write_text(content)


def cut(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1000])


def with_one(name, value):
    def broken(before):
        before[name].view(-1)[7] = value
        return {name: before[name]}

    return lambda folder: tensors(folder, broken)


def with_more_tokens(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<more{i}>" for i in range(4)], special_tokens=True)
    tokenizer.save_pretrained(folder)


def as_classifier(folder):
    from transformers import LlamaConfig, LlamaForSequenceClassification

    LlamaForSequenceClassification(LlamaConfig.from_pretrained(folder, num_labels=1)).save_pretrained(folder)


BROKEN = {
    "missing": (
        lambda folder: tensors(folder, lambda _: {MLP: None}),
        rf"{WEIGHTS} does not hold the LlamaForCausalLM .*: 1 tensor missing \({MLP}\)",
    ),
    "no embedding": (
        lambda folder: tensors(folder, lambda _: {"model.embed_tokens.weight": None}),
        r"missing \(lm_head.weight, model.embed_tokens.weight\)",
    ),
    "a layer more in the config": (
        lambda folder: settings(folder, "config.json", num_hidden_layers=3),
        r"9 tensors missing \(model.layers.2.input_layernorm.weight, .* and 6 more\)",
    ),
    "a layer less in the config": (
        lambda folder: settings(folder, "config.json", num_hidden_layers=1),
        r"9 tensors left over \(model.layers.1.input_layernorm.weight, .* and 6 more\)",
    ),
    "other names": (
        lambda folder: tensors(folder, lambda old: dict.fromkeys(old) | {f"own.{k}": v for k, v in old.items()}),
        r"21 tensors missing .*, 20 tensors left over \(own.model.embed_tokens.weight",
    ),
    "another shape": (
        lambda folder: tensors(folder, lambda _: {"model.norm.weight": torch.ones(31)}),
        r"1 tensor of another shape \(model.norm.weight is \[31\], not \[32\]\)",
    ),
    "a head beside": (
        lambda folder: tensors(folder, lambda _: {"score.weight": torch.ones(1, 32)}),
        r"1 tensor left over \(score.weight\)",
    ),
    "a classifier": (as_classifier, r"left over \(score.weight\). It was saved as LlamaForSequenceClassification"),
    "another model": (lambda folder: settings(folder, "config.json", model_type="bert"), "BertLMHeadModel.* missing"),
    "nan": (with_one(MLP, float("nan")), rf"{WEIGHTS} holds NaN or infinite numbers, in 1 tensor \({MLP}\)"),
    "infinite": (with_one(MLP, float("inf")), rf"in 1 tensor \({MLP}\)"),
    "minus infinite": (with_one(MLP, -float("inf")), rf"in 1 tensor \({MLP}\)"),
    "cut": (cut, f"{WEIGHTS} is damaged or cut short"),
    "empty": (text(WEIGHTS, ""), f"{WEIGHTS} is damaged"),
    "no weights in it": (text(WEIGHTS, "nothing like it" * 9), f"{WEIGHTS} is damaged"),
    "git lfs": (text(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid"), f"{WEIGHTS} is a Git LFS pointer"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "holds no weights"),
    "config cut": (text("config.json", "{"), "config.json is damaged: it is not JSON"),
    "config is a list": (text("config.json", "[]"), "config.json is damaged: it holds a list"),
    "config of nothing": (text("config.json", '{"model_type": "none"}'), "cannot use .*config.json: .*`none`"),
    "heads": (
        lambda folder: settings(folder, "config.json", num_attention_heads=3),
        "cannot use .*config.json: .* not a multiple of the number of attention heads",
    ),
    "generation config cut": (text("generation_config.json", "{"), "generation_config.json is damaged"),
    "stop beyond": (
        lambda folder: settings(folder, "generation_config.json", eos_token_id=[2, 9999]),
        r"eos_token_id=\[2, 9999\], and the model's ids are 0 to",
    ),
    "stop is a text": (
        lambda folder: settings(folder, "generation_config.json", eos_token_id="end"),
        "eos_token_id='end'",
    ),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer.*tokenizer.json"),
    "tokenizer cut": (text("tokenizer.json", "{"), "cannot use .*tokenizer.json: "),
    "tokenizer of nothing": (text("tokenizer.json", "{}"), "cannot use .*tokenizer.json: KeyError"),
    "tokenizer config is a list": (text("tokenizer_config.json", "[]"), "tokenizer_config.json is damaged"),
    "larger tokenizer": (
        with_more_tokens,
        r"tokenizer.json is larger than the model.* for \d+ tokens: 4 more \('<more0>', .* and 1 more\)",
    ),
    "template": (
        text("chat_template.jinja", "{% for %}"),
        "chat template of .* cannot write turns of user, assistant: ",
    ),
    "adapter": (text("adapter_config.json", "{}"), "adapter_config.json says that .* holds an adapter"),
}


@pytest.mark.parametrize(("break_it", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_folder_is_refused_in_a_sentence_that_names_the_file(folder, break_it, told):
    break_it(folder)
    with pytest.raises(ValueError, match=told) as raised:
        Transformer.Config(model=str(folder)).build(0, "float32")
    assert str(folder) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_an_adapter_alone_is_no_model(folder):
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds an adapter"):
        pretrained.load(str(folder))


def test_weights_in_parts_are_one_model(whole, in_parts):
    ours, theirs = pretrained.load(str(in_parts))[0].state_dict(), pretrained.load(str(whole))[0].state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


PART = "model-00002-of-0000"


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda part: part.unlink(), rf"{PART}\d.safetensors is not there: 1 of the \d files"),
        (lambda part: part.write_bytes(part.read_bytes()[:-9]), rf"{PART}\d.safetensors is damaged or cut short"),
        (lambda part: (part.parent / f"{WEIGHTS}.index.json").write_text("{"), "index.json is damaged: it is not JSON"),
        (
            lambda part: (part.parent / f"{WEIGHTS}.index.json").write_text("{}"),
            "index.json is damaged: its weight_map",
        ),
        (lambda part: (part.parent / f"{WEIGHTS}.index.json").unlink(), "holds no weights"),
    ],
    ids=["missing", "cut", "index cut", "index of nothing", "no index"],
)
def test_a_missing_or_damaged_part_is_named(in_parts, tmp_path, break_it, told):
    folder = shutil.copytree(in_parts, tmp_path / "tiny")
    break_it(next(folder.glob(f"{PART}*")))
    with pytest.raises(ValueError, match=told):
        pretrained.load(str(folder))


def test_a_nan_is_found_in_its_file(in_parts, tmp_path):
    folder = shutil.copytree(in_parts, tmp_path / "tiny")
    part = folder / json.loads((folder / f"{WEIGHTS}.index.json").read_text())["weight_map"][MLP]
    save_file(load_file(part) | {MLP: torch.full((32, 64), float("nan"))}, part, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"{part.name} holds NaN"):
        pretrained.load(str(folder))


def test_pickled_weights_are_read_or_named(folder):
    whole = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save(whole, folder / "pytorch_model.bin")
    loaded, _ = pretrained.load(str(folder))
    assert torch.equal(loaded.state_dict()[MLP], whole[MLP])
    (folder / "pytorch_model.bin").write_bytes(b"no pickle")
    with pytest.raises(ValueError, match=r"cannot use .*pytorch_model.bin"):
        pretrained.load(str(folder))


def test_masks_and_positions_of_older_versions_are_no_weights(folder):
    old = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8),
        "model.layers.0.attn.masked_bias": torch.tensor(-1e4),
        "lm_head.weight": load_file(folder / WEIGHTS)["model.embed_tokens.weight"].clone(),  # tied, and written twice
    }
    tensors(folder, lambda _: old)
    model, _ = pretrained.load(str(folder))
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_a_judge_of_fluency_is_a_whole_model_too(folder):
    tensors(folder, lambda _: {MLP: None})
    with pytest.raises(ValueError, match=rf"missing \({MLP}\)"):
        Perplexity(model=str(folder))(["the cat"])
