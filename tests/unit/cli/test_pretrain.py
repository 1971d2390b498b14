"""`strop pretrain`, and the other commands on a run that it made."""

import json
import re
import shutil
from contextlib import chdir
from pathlib import Path

import pytest

import small_corpus
from strop.cli import show_pretrained
from strop.cli.main import main
from strop.from_scratch import MODELS
from strop.reports.pretrained import Pretrained
from strop.runs.directory import RunDirectory

READING = ["data.tokenizer=character", "data.vocabulary=320", "sampling.max_tokens=4", "threads=1"]
TINY = [*READING, "policy.width=16", "policy.num_layers=1", "memory.size=2", "memory.length=8", "steps=2"]
FEW = ["policy.capacity=100"]
"""Contexts of an n-gram model that can train."""
COMMAND = ["pretrain", "small.txt", "model=gru", "--run", "runs/r", *TINY]


def text():
    """60 documents on lines 1 to 119; then the first again, one of a control character, and nearly the second again."""
    documents = small_corpus.text().split("\n\n")
    return "\n\n".join([*documents, documents[0], " \x07 ", f"{documents[1]} The end."])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the corpus and a finished run on it."""
    folder = tmp_path_factory.mktemp("made")
    with chdir(folder):
        Path("small.txt").write_text(text())
        assert main(COMMAND) == 0
    return folder


@pytest.fixture
def here(made, tmp_path, strop):
    """A copy of it, in the folder where the test is."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return strop


@pytest.fixture
def corpus(strop):
    """The folder of the test with the corpus alone."""
    Path("small.txt").write_text(text())
    return strop


# ------------------------------------------------------------ training


def test_a_dry_run_prints_the_plan_and_leaves_nothing(corpus, tmp_path):
    said = corpus(*COMMAND, "--dry-run")
    assert said.code == 0, said.err
    for line in ("Recurrent: 5,808 trainable parameters", "learns from 2 chunks of 8 tokens", "2 steps"):
        assert line in said.out
    assert "dry run: nothing was trained or written" in said.out
    assert "policy.kind=gru" in said.out
    assert [file.name for file in tmp_path.iterdir()] == ["small.txt"]


def test_a_dry_run_as_json_is_one_object(corpus):
    plan = json.loads(corpus(*COMMAND, "--dry-run", "--json").out)
    assert plan["algorithm"] == "SFT"
    assert "memory.length=8" in plan["fields"]


def test_a_run_says_what_was_read_and_what_was_learnt(corpus):
    said = corpus(*COMMAND)
    assert said.code == 0, said.err
    assert "read 63 documents, " in said.err
    assert "removed: 1 exact and 1 near duplicates, 1 empty; 1 control character, 0 invalid bytes" in said.err
    assert "held out: " in said.err
    assert "vocabulary: 257 character tokens" in said.err
    rows = [line.split()[0] for line in said.out.splitlines() if line.startswith(("Recurrent", "trigram", "unigram"))]
    assert rows == ["trigram", "unigram", "Recurrent"]  # the best first; two steps teach nothing
    assert "Recurrent after 2 steps" in said.out
    assert said.out.count("a sample (not chosen)") == 3
    assert "2 steps; this took" in said.out
    for command in ("chat runs/r", "train RECIPE policy=runs/r", "export runs/r DIR", "plot runs/r -o curve.png"):
        assert f"strop {command}" in said.err
    assert RunDirectory(Path("runs/r")).provenance()["command"].startswith("strop pretrain small.txt model=gru")


def test_the_result_as_json_is_one_object(corpus):
    result = json.loads(corpus(*COMMAND, "--json").out)
    assert (result["run"], result["interrupted"]) == ("runs/r", False)
    assert len(result["pretrained"]["samples"]) == 3
    assert [row["who"] for row in result["pretrained"]["rows"]] == ["trigram", "unigram", "Recurrent after 2 steps"]
    assert result["tokens_per_second"] > 0


def test_fields_lists_those_of_the_model_the_corpus_and_the_chunks(corpus, tmp_path):
    listed = json.loads(corpus("pretrain", "small.txt", "model=lstm", "--fields", "--json").out)
    values = {field["path"]: field["value"] for field in listed}
    wanted = {"policy.kind": "lstm", "data.tokenizer": "byte-bpe", "data.near": "0.8", "memory.length": "128"}
    assert wanted.items() <= values.items()
    assert not [field["path"] for field in listed if not field["meaning"]]
    said = corpus("pretrain", "small.txt", "--fields").out
    assert "policy.width=192" in said  # of the transformer
    assert "strop pretrain CORPUS steps=20" in said
    assert [file.name for file in tmp_path.iterdir()] == ["small.txt"]


LONGER = ("rnn", "convolutional", "encoder-decoder")


@pytest.mark.parametrize(
    "model", [pytest.param(one, marks=[pytest.mark.matrix] * (one in LONGER)) for one in MODELS if one != "gru"]
)
def test_every_model_runs(corpus, model):
    heads = [*TINY, "policy.num_heads=2"]
    own = {"ngram": [*READING, *FEW], "transformer": heads, "masked": heads, "encoder-decoder": heads}
    said = corpus("pretrain", "small.txt", f"model={model}", "--run", "r", *own.get(model, TINY))
    assert said.code == 0, said.err
    shown = "a held-out sentence (not chosen), with words hidden" if model == "masked" else "a sample (not chosen)"
    assert said.out.count(shown) == 3
    config = RunDirectory(Path("r")).config()
    algorithm = {"ngram": "Counting", "masked": "MaskedLM"}.get(model, "SFT")
    assert config["algorithm"]["class"] == f"strop.algorithms.{algorithm}.Config"
    assert config["policy"].get("kind", model) == model


def test_a_masked_encoder_says_what_it_is_and_what_fits(corpus, tmp_path):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    said = corpus("pretrain", "small.txt", "model=masked", "--run", "r", *TINY, "policy.num_heads=2")
    assert said.code == 0, said.err
    plain = " ".join(said.out.split())
    assert "hidden tokens of held-out documents loss filled in right" in plain
    assert "no perplexity of a text" in plain
    assert re.search(r"unigram +\d\.\d+ +\d+\.\d%", said.out)
    assert "strop chat" not in said.err
    for command in ("train RECIPE policy=r", "policy.actions=yes,no", "policy.value_head=true", "export r DIR"):
        assert command in said.err
    assert "writes none" in corpus("chat", "r", "--once", "hi").err
    record = json.loads(corpus("show", "r", "--json").out)["pretrained"]
    assert [one["who"] for one in record["filled"]] == ["unigram", "Scratch after 2 steps"]
    assert record["rows"] == []

    said = corpus("export", "r", "hf")
    assert said.code == 0, said.err
    assert "chat" not in said.err
    model, tokenizer = AutoModelForMaskedLM.from_pretrained("hf").eval(), AutoTokenizer.from_pretrained("hf")
    inputs = tokenizer(f"the {tokenizer.mask_token} slept", return_tensors="pt")
    assert (inputs["input_ids"] == tokenizer.mask_token_id).sum() == 1
    import strop

    run = strop.load("r")
    assert inputs["input_ids"][0, 0] == inputs["input_ids"][0, -1] == run.policy.marks.begin
    assert (model(**inputs).logits - run.policy.model(**inputs).logits).abs().max() < 1e-5
    assert tokenizer(" slept")["input_ids"] == list(run.parts.codec.start(" slept"))
    assert 'pipeline("fill-mask"' in Path("hf/README.md").read_text()
    assert "writes none" in corpus("chat", "hf", "--once", "hi").err
    assert "writes none" in corpus("train", "copy_word", "policy=hf").err
    assert corpus("train", "copy_word", "policy=hf", "policy.actions=apple,bread", "--dry-run").code == 0


def test_a_classifier_is_talked_to_and_not_exported(corpus):
    said = corpus("pretrain", "small.txt", "model=masked", "--run", "r", *TINY, "policy.num_heads=2")
    choosing = ["policy=r", "policy.actions=apple,bread", "steps=1", "threads=1", "--run", "c"]
    said = corpus("train", "copy_word", *choosing)
    assert said.code == 0, said.err
    assert "strop chat c" in said.err
    assert corpus("chat", "c", "--once", "hi").out.strip() in ("apple", "bread")
    said = corpus("export", "c", "hf")
    assert said.code == 1
    assert "has no place in a masked model's folder" in said.err
    assert not Path("hf").exists()


def test_steps_and_the_order_of_an_ngram_model_shape_the_recipe(corpus):
    def plan(*words):
        return json.loads(corpus("pretrain", "small.txt", *words, *READING, "--dry-run", "--json").out)["fields"]

    fields = plan("model=gru", "steps=1e3", "policy.width=16")
    assert {"steps=1000", "algorithm.optimizer.lr.steps=1000", "eval_every=125"} <= set(fields)
    looks_back = ["model=ngram", "policy.order=6", *FEW]
    assert "memory.overlap=5" in plan(*looks_back)
    assert "memory.overlap=5" in plan(*looks_back, "memory.overlap=2")  # no chunk begins a document


def test_samples_cannot_move_the_terminals_cursor(capsys):
    show_pretrained.page(Pretrained(rows=[], best_step=None, samples=["a\x1b[2Jb [red]c[/]\nd", " \n"], filled=[]))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "a [2Jb [red]c[/]\nd\n" in said
    assert "(nothing)" in said


# ------------------------------------------------------------ what is refused


def write_bad_files():
    Path("other.txt").write_text(text())
    Path("empty.txt").write_text("")
    Path("spaces.txt").write_text(" \n\n\t\n")
    Path("line.txt").write_text("one line of text\n")
    Path("word.txt").write_text("\n\n".join(["word " * n for n in range(1, 20)]))
    Path("binary.txt").write_bytes(bytes(range(256)) * 50)
    Path("other.csv").write_text("review,stars\ngood,5\nbad,1\n")
    Path("folder").mkdir()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "which corpus?"),
        (["small.txt", "other.txt"], 2, "one corpus, not 2: small.txt, other.txt."),
        (["small.txt", "model=bert"], 2, "model=bert: it is one of transformer, encoder-decoder"),
        (["small.txt", "model="], 2, "model=: it is one of transformer"),
        (["small.txt", "policy=lstm"], 2, "policy=lstm: it is written model=lstm."),
        (["small.txt", "policy.widht=3"], 2, "Scratch has no field 'widht'; did you mean width?"),
        (["small.txt", "model=ngram", "policy.width=3"], 2, "NGram has no field 'width'"),
        (["small.txt", "data.tokenizer=letters"], 2, "allowed is byte-bpe or bpe or"),
        (["small.txt", "steps=-1"], 2, "steps=-1: it cannot be negative"),
        (["grim"], 1, "no file, folder or corpus 'grim'. Did you mean 'grimm'?"),
        (["nothing.txt"], 1, "no file, folder or corpus 'nothing.txt'"),
        (["empty.txt"], 1, "empty.txt is empty"),
        (["spaces.txt"], 1, "spaces.txt"),
        (["line.txt"], 1, "line.txt: one document is left after cleaning"),
        (["word.txt"], 1, "word.txt repeats one word"),
        (["binary.txt"], 1, "binary.txt is a binary file"),
        (["other.csv"], 1, "other.csv has no field 'text'. It has stars, review: choose with data.field=NAME."),
        (["folder"], 1, "the folder folder holds no text file (it is empty)"),
        (["small.txt", "memory.length=999", *READING], 1, "Set policy.context=1000 or a smaller memory.length."),
        (["small.txt", "algorithm=grpo", *READING], 1, "GRPO learns from tasks, and data is a corpus"),
    ],
)
def test_what_is_refused_in_one_line_and_leaves_no_folder(corpus, words, code, message):
    write_bad_files()
    before = set(Path().iterdir())
    said = corpus("pretrain", *words)
    assert said.code == code, said.err
    assert message in said.err
    assert said.err.count("error: ") == 1
    assert "Traceback" not in said.err
    assert said.out == ""
    after = said.err[said.err.index("error: ") :].strip().split("\n\n")
    assert [part.partition(":")[0] for part in after] in (["error"], ["error", "hint"])
    assert "strop train" not in said.err
    left = set(Path().iterdir()) - before
    assert left <= {Path("runs")}
    assert not any(Path("runs").glob("*"))


def test_a_corpus_that_is_not_there_is_refused_before_a_folder_is_made(corpus, tmp_path):
    said = corpus("pretrain", "nothing.txt")
    assert said.err.startswith("error: ")
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_in_use_is_left_as_it_is(here):
    said = here(*COMMAND)
    assert said.code == 1
    assert "runs/r exists and is not empty; it is left as it is. Choose another --run" in said.err


# ------------------------------------------------------------ the other commands


def test_show_prints_perplexities_and_samples(here):
    said = here("show", "r")
    assert said.code == 0, said.err
    for line in ("runs/r: finished, 2 of 2 steps", "held_out/perplexity", "Recurrent after 2 steps", "trigram"):
        assert line in said.out
    assert said.out.count("a sample (not chosen)") == 3
    page = json.loads(here("show", "r", "--json").out)
    assert [row["who"] for row in page["pretrained"]["rows"]][-1] == "Recurrent after 2 steps"


@pytest.mark.matrix
def test_plot_draws_it(here):
    assert here("plot", "r", "-o", "x.png").code == 0
    assert Path("x.png").read_bytes().startswith(b"\x89PNG")


def test_eval_judges_the_held_out_documents_again(here):
    page, said = json.loads(here("show", "r", "--json").out), here("eval", "r")
    assert "runs/r after 2 steps, judged on held-out documents" in said.out
    judged = json.loads(here("eval", "r", "--json").out)
    assert judged["means"]["loss"] == page["curves"]["held_out/loss"][-1][1]


def test_chat_goes_on_with_the_text(corpus):
    assert corpus("pretrain", "small.txt", "model=ngram", "--run", "runs/n", *READING, *FEW).code == 0
    said = corpus("chat", "n", "--once", "The old wom", "--temperature", "0", "--max-tokens", "3")
    assert (said.code, said.out) == (0, "an \n")  # the only word of the corpus that begins so


def test_it_goes_on_with_more_steps(here):
    said = here("train", "--resume", "--run", "r", "steps=4")
    assert said.code == 0, said.err
    assert "fork: steps: 2 -> 4" in said.err
    assert "Recurrent after 4 steps" in said.out
    assert "strop chat runs/r" in said.err
    assert json.loads(here("show", "r", "--json").out)["done"] == 4
    assert json.loads(here("train", "--resume", "--run", "r", "--json").out)["pretrained"]["best_step"] is not None


# ------------------------------------------------------------ its corpus


def test_show_has_the_counts_of_the_corpus(here):
    said = here("show", "r").out
    for name, line in {
        "corpus": f"63 documents, {len(text().replace(chr(7), '').split()):,} words from ",
        "removed": "1 empty document, 1 exact duplicate, 1 near duplicate, 1 control character",
        "held out": "none shares 13 words in a row with what is learnt from",
        "vocabulary": "257 character tokens",
    }.items():
        assert re.search(f"^{name} +.*{line}", said, re.MULTILINE), name
    assert "strop show runs/r --dropped" in said
    facts = json.loads(here("show", "r", "--json").out)["corpus"]["facts"]
    assert facts["dropped"] == {"empty": 1, "exact duplicate": 1, "near duplicate": 1}
    assert facts["train"]["documents"] + facts["held_out"]["documents"] == 60


def test_show_lists_what_cleaning_dropped(here):
    said = here("show", "r", "--dropped")
    first, second = (document[:80].rstrip() for document in small_corpus.text().split("\n\n")[:2])
    assert said.out.splitlines() == [
        "line 123: empty",
        "line 121: exact duplicate of line 1",
        f"    {first}",
        "line 125: near duplicate of line 3",
        f"    {second}",
    ]
    listed = json.loads(here("show", "r", "--dropped", "--json").out)
    assert listed[1] == {"document": "121", "reason": "exact duplicate", "of": "1", "begins": first}
    assert here("show", "r", "--dropped", "--episodes", "0").code == 2


def test_what_was_dropped_of_a_folder_is_named_by_its_file(corpus):
    Path("texts").mkdir()
    for number, document in enumerate(text().split("\n\n")):
        Path("texts", f"{number:02}.txt").write_text(document)
    assert corpus("pretrain", "texts", "model=gru", "--run", "r", *TINY).code == 0
    said = corpus("show", "r", "--dropped").out.splitlines()
    assert [said[0], said[1], said[3]] == [
        "61.txt: empty",
        "60.txt: exact duplicate of 00.txt",
        "62.txt: near duplicate of 01.txt",
    ]


def test_a_run_whose_cache_is_gone_or_damaged(here):
    cache = Path("runs/r/cache")
    (cache / "dropped.jsonl").write_text('{"document": "1", "reason": "empty"}\n{"document":\n')
    said = here("show", "r", "--dropped")
    assert said.code == 1
    assert "cache/dropped.jsonl, line 2 cannot be read" in said.err
    (cache / "facts.json").write_text('{"corpus": {}}')
    said = here("show", "r")
    assert said.code == 1
    assert "runs/r/cache/facts.json cannot be read" in said.err
    shutil.rmtree(cache)
    assert here("show", "r").code == 0
    assert "vocabulary " not in here("show", "r").out
    said = here("show", "r", "--dropped")
    assert said.code == 1
    assert "strop train --resume --run runs/r makes it again" in said.err
    assert here("train", "--resume", "--run", "r", "steps=3").code == 0
    assert "exact duplicate of line 1" in here("show", "r", "--dropped").out


def test_a_run_without_a_corpus_dropped_nothing(strop, table_recipe):
    assert strop("train", table_recipe(), "steps=1", "--run", "r").code == 0
    said = strop("show", "r", "--dropped")
    assert said.code == 1
    assert "error: r does not learn from a corpus" in said.err
    assert json.loads(strop("show", "r", "--json").out)["corpus"] is None


def test_of_several_stages_that_of_the_first_on_a_corpus(made, here):
    Path("staged").mkdir()
    shutil.copytree("runs/r", "staged/1-pretrain")
    Path("staged/stages.json").write_text('{"format": 1, "stages": ["pretrain", "reward"]}')
    assert "exact duplicate of line 1" in here("show", "staged", "--dropped").out
