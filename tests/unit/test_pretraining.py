"""A run on a corpus: what it learns from, how it is judged, when it ends, and how it goes on."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import strop
from small_corpus import corpus, text, tiny
from strop import corpora
from strop.data.prepared import Prepared
from strop.memory import Chunks
from strop.optimizer import AdamW
from strop.reports.pretrained import pretrained_of
from strop.runs.spec import encode
from strop.runs.standing import EARLY, standing
from strop.runs.store import Store
from strop.types import Sampling


def config(folder, **changes):
    """Six steps of a tiny recurrent model."""
    made = strop.pretraining(corpus(folder), tiny(), steps=6)
    usual = {
        "memory": Chunks.Config(size=4, length=16),
        "sampling": Sampling(temperature=0.8, max_tokens=8),
        "eval_every": 3,
        "checkpoint_every": 2,
        "threads": 1,
    }
    return replace(made, **(usual | changes))


def train(config, folder, **options):
    return strop.train(config, folder, progress=False, **options)


def deterministic(run):
    return [
        {name: value for name, value in row.items() if not name.startswith(("time/", "memory/"))}
        for row in run.metrics()
    ]


def short(task, episode):
    return -float(episode.num_actions)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("done")
    return train(config(folder), folder / "run")


def test_a_language_model_learns_the_text(done):
    losses = [row["held_out/loss"] for row in done.metrics() if "held_out/loss" in row]
    assert len(losses) == 3
    assert losses[0] == pytest.approx(math.log(done.policy.vocabulary), rel=0.02)  # it knows nothing
    assert losses[-1] < losses[0]


def test_the_tokenizer_is_the_corpuss(done):
    prepared = Prepared.open(done.config.corpus)
    assert done.config.policy.tokenizer == prepared.tokenizer
    assert encode(strop.load(done.path).config) == encode(done.config)
    assert "the king" in done.parts.codec.decode(prepared.train[:2000].tolist()).lower()


def test_the_run_keeps_the_corpuss_path_and_hash_and_no_copy(done):
    data = json.loads((done.path / "config.json").read_text())["data"]
    assert data["source"].endswith("corpus.txt")
    assert len(data["sha256"]) == 64
    assert "folder" not in data  # a run can be moved
    assert not any("king" in file.read_text(errors="ignore") for file in done.path.glob("*.json"))


def test_texts_are_sampled_at_every_evaluation(done):
    assert [len(done.judged(step)) for step in (0, 3, 6)] == [3, 3, 3]
    assert done.judged(6)[0].turns[0].prompt == (0,)  # the token that begins a document


def test_the_best_checkpoint_has_the_lowest_loss(done):
    losses = {row["step"]: row["held_out/loss"] for row in done.metrics() if "held_out/loss" in row}
    with done.directory.reader() as store:
        assert store.best_step() == min(losses, key=losses.get)


def test_ngram_models_stand_beside_it(done):
    found = {row.who: row for row in pretrained_of(done.directory).rows}
    assert set(found) == {"Recurrent after 6 steps", "trigram", "unigram"}
    held_out, counts = Prepared.open(done.config.corpus).held_out, np.zeros(done.policy.vocabulary)
    train = Prepared.open(done.config.corpus).train
    # continuation counts of a bigram-free model are those of its own order: the relative frequencies of what follows
    np.add.at(counts, train[1:], 1.0)
    seen = counts > 0
    nll = -np.log(counts[held_out.tokens[1:]] / counts.sum())
    assert seen[held_out.tokens].all()
    # unseen tokens of the vocabulary take the freed mass, so it is a little above the relative frequencies'
    assert math.log(found["unigram"].token.mean) == pytest.approx(nll.mean(), abs=0.01)
    assert found["trigram"].token.mean < found["unigram"].token.mean / 2


def test_perplexities_of_a_token_a_word_and_a_character_are_of_one_total(done):
    row = next(row for row in pretrained_of(done.directory).rows if row.who.startswith("Recurrent"))
    held_out = Prepared.open(done.config.corpus).held_out
    total = math.log(row.token.mean) * (len(held_out.tokens) - 1)
    assert math.log(row.word) * held_out.words.sum() == pytest.approx(total, rel=1e-6)
    assert math.log(row.character) * held_out.characters.sum() == pytest.approx(total, rel=1e-6)
    assert row.token.low < row.token.mean < row.token.high


def test_a_chunk_is_counted_after_the_tokens_before_it_whatever_the_order(tmp_path):
    made = strop.pretraining(corpus(tmp_path), "ngram")
    longer = replace(made, policy=replace(made.policy, order=6, capacity=10), threads=1)
    run = train(replace(longer, memory=replace(made.memory, length=16)), tmp_path / "run")
    tokens = Prepared.open(run.config.corpus).train.tolist()
    end, seen = run.policy.contexts.mark, set()
    for t in range(1, len(tokens)):
        document = tokens[:t][max((i + 1 for i in range(t) if tokens[i] == end), default=0) :]
        seen.add((*([end] * 5 + document)[-5:], tokens[t]))
    assert run.policy.num_ngrams == len(seen)


@pytest.mark.matrix
def test_an_ngram_model_counts_the_corpus_once(tmp_path):
    made = strop.pretraining(corpus(tmp_path), "ngram")
    run = train(replace(made, threads=1, sampling=Sampling(max_tokens=8)), tmp_path / "run")
    prepared = Prepared.open(run.config.corpus)
    assert run.config.steps == math.ceil((len(prepared.train) - 1) / 512 / 64)
    best = pretrained_of(run.directory).rows[0]
    assert best.who.startswith("NGram")
    assert best.character < 2.0  # the grammar is nearly as regular as that


def test_it_goes_on_bit_for_bit(tmp_path, done):
    half = train(config(tmp_path, steps=4), tmp_path / "run")
    whole = train(replace(half.config, steps=6), tmp_path / "run", resume=True)
    again = train(config(tmp_path), tmp_path / "uninterrupted")
    assert deterministic(whole)[-1] == deterministic(again)[-1]
    for ours, theirs in zip(whole.policy.parameters(), again.policy.parameters(), strict=True):
        assert ours.equal(theirs)


def test_a_changed_corpus_is_refused(tmp_path):
    run = train(config(tmp_path, steps=2), tmp_path / "run")
    (tmp_path / "corpus.txt").write_text(text(seed=5))
    with pytest.raises(ValueError, match="has changed since the run began"):
        train(replace(run.config, steps=4), run.path, resume=True)


@pytest.mark.parametrize(("field", "value"), [("vocabulary", 300), ("held_out", 0.5), ("near", 1.0)])
def test_a_corpus_that_would_be_read_differently_is_refused(tmp_path, done, field, value):
    shutil.copytree(done.path, tmp_path / "run")
    other = replace(done.config.corpus, **{field: value})
    with pytest.raises(ValueError, match=f"data.{field}={value}: .* was begun with"):
        train(replace(done.config, data=other, steps=8), tmp_path / "run", resume=True)


def test_a_run_on_tasks_does_not_go_on_with_a_corpus(tmp_path):
    tasks = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a", "b"]), tasks=[strop.Task("a", "a")], rewards=[short], steps=1
    )
    train(tasks, tmp_path / "run")
    with pytest.raises(ValueError, match="was not begun on a corpus"):
        train(config(tmp_path), tmp_path / "run", resume=True)


def test_a_run_goes_on_with_another_corpus_by_its_name(tmp_path, done):
    more = train(config(tmp_path, policy=f"{done.path}@best", steps=1), tmp_path / "more")
    assert isinstance(more.config.policy, strop.FromRun)
    assert Prepared.open(more.config.corpus).tokenizer == Prepared.open(done.config.corpus).tokenizer
    after = [row["held_out/loss"] for row in done.metrics() if "held_out/loss" in row]
    assert more.metrics()[0]["held_out/loss"] == pytest.approx(min(after), rel=1e-6)


def signs(folder, words=("",)):
    """A corpus of signs, with one of the words in every document."""
    rng = np.random.default_rng(0)
    documents = ["".join(rng.choice(list("♪♫★!?#+-"), 150)) + words[i % len(words)] for i in range(60)]
    (folder / "signs.txt").write_text("\n\n".join(documents), encoding="utf-8")
    return strop.Corpus(source=str(folder / "signs.txt"), tokenizer="character", vocabulary=320)


def test_documents_without_words_have_no_perplexity_a_word(tmp_path):
    run = train(config(tmp_path, data=signs(tmp_path), steps=0), tmp_path / "run")
    assert math.isnan(run.metrics()[0]["held_out/perplexity_word"])
    assert all(math.isnan(row.word) and row.character < 1e3 for row in pretrained_of(run.directory).rows)


def test_the_perplexity_of_a_rare_word_is_of_the_same_total(tmp_path):
    made = strop.pretraining(replace(signs(tmp_path, (" a", " b")), near=1.0), "ngram")
    run = train(replace(made, threads=1, sampling=Sampling(max_tokens=8)), tmp_path / "run")
    held_out = Prepared.open(run.config.corpus).held_out
    assert (
        run.metrics()[0]["held_out/loss"] * (len(held_out.tokens) - 1) / held_out.words.sum() > 700
    )  # e^700: no float
    best = next(row for row in pretrained_of(run.directory).rows if row.who.endswith("after 1 step"))
    total = math.log(best.token.mean) * (len(held_out.tokens) - 1)
    assert math.log(best.word) * held_out.words.sum() == pytest.approx(total, rel=1e-6)


def test_an_early_end_is_asked_for_only_after_an_evaluation(tmp_path, monkeypatch):
    asked = []
    usual = Store.why_stop_early
    monkeypatch.setattr(Store, "why_stop_early", lambda store, n: asked.append(store.latest_step()) or usual(store, n))
    train(config(tmp_path, steps=5), tmp_path / "run")
    assert asked == [None, 2]  # before the first step, and after three: it reads the metrics of all


def test_a_lost_cache_is_made_again(tmp_path):
    run = train(config(tmp_path, steps=2), tmp_path / "run")
    tokens = np.array(Prepared.open(run.config.corpus).train)
    shutil.rmtree(run.path / "cache")
    more = train(replace(run.config, steps=3), run.path, resume=True)
    assert np.array_equal(Prepared.open(more.config.corpus).train, tokens)


def test_a_moved_run_is_whole(tmp_path):
    run = train(config(tmp_path, steps=2), tmp_path / "run")
    loss = run.metrics()[-1]["held_out/loss"]
    shutil.move(run.path, tmp_path / "moved")
    moved = strop.load(tmp_path / "moved")
    assert moved.evaluate()["held_out/loss"] == loss


def test_it_ends_early_when_nothing_gets_better(tmp_path):
    wild = strop.algorithms.SFT.Config(optimizer=AdamW(lr=3.0))
    run = train(config(tmp_path, algorithm=wild, eval_every=1, patience=2, steps=40), tmp_path / "run")
    found = standing(run.directory)
    assert found.status == EARLY
    assert found.is_complete
    with run.directory.reader() as store:
        assert found.done == store.best_step() + 2
        assert "early stop" in store.events()[-1].text
    assert standing(train(run.config, run.path, resume=True).directory).done == found.done  # and stays ended


@pytest.mark.matrix
def test_a_run_starts_from_it(tmp_path, done):
    rewarded = strop.TrainConfig(
        policy=str(done.path),
        tasks=[strop.Task("text", "")],
        held_out=[strop.Task("judged", "")],
        rewards=[short],
        algorithm=strop.algorithms.RLOO.Config(optimizer=AdamW(lr=1e-2)),
        sampling=Sampling(max_tokens=8),
        steps=2,
        threads=1,
    )
    run = train(rewarded, tmp_path / "rl")
    assert run.config.policy == strop.FromRun(run=f"{done.path}@6")
    first = strop.load(f"{run.path}@0").policy.parameters()
    for ours, theirs in zip(first, done.policy.parameters(), strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": "smollm2"}, "has a vocabulary of its own"),
        ({"policy": strop.policies.Table.Config(words=["a", "b"])}, "has a vocabulary of its own"),
        ({"policy": strop.policies.Recurrent.Config(words=["a", "b"])}, "policy.words is given"),
        ({"algorithm": strop.algorithms.GRPO.Config()}, "GRPO learns from tasks"),
        ({"memory": strop.memory.Dataset.Config()}, "read in chunks"),
        ({"tasks": [strop.Task("a", "b")]}, "both given"),
        ({"policy": strop.policies.Scratch(width=16, num_heads=2, context=8)}, "the policy reads 8"),
        ({"policy": strop.policies.Scratch(width=16, num_heads=2, context=16)}, "the policy reads 16"),
    ],
)
def test_what_cannot_be(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train(config(tmp_path, **changes), tmp_path / "run")
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.txt"]  # nothing is left


def test_chunks_without_a_corpus(tmp_path):
    with pytest.raises(ValueError, match="memory=Chunks holds the chunks of a corpus"):
        train(
            strop.TrainConfig(
                policy=strop.policies.Table.Config(words=["a", "b"]),
                tasks=[strop.Task("a", "a", answer="b")],
                algorithm=strop.algorithms.SFT.Config(),
                memory=Chunks.Config(),
            ),
            tmp_path / "run",
        )


def test_a_used_folder_is_refused_before_the_corpus_is_read(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    with pytest.raises(ValueError, match="exists and is not empty"):
        train(replace(config(tmp_path), data=strop.Corpus(source=str(tmp_path / "corpus.txt"))), tmp_path / "run")


def test_a_path_is_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert strop.pretraining("grimm").corpus.source == "grimm"
    assert strop.pretraining(Path("./grimm")).corpus.source == str(tmp_path / "grimm")


def test_an_unknown_model():
    with pytest.raises(ValueError, match="model=bert: it is one of transformer, "):
        strop.pretraining("grimm", "bert")


def test_of_a_long_held_out_document_a_part_is_judged(done, monkeypatch):
    """Its words and characters count in proportion."""
    prepared = Prepared.open(done.config.corpus)
    _, whole = corpora.judge_corpus(prepared.corpus, done.policy, 4096, step=1)
    monkeypatch.setattr(corpora, "LONGEST", 40)
    _, part = corpora.judge_corpus(prepared.corpus, done.policy, 4096, step=1)
    assert all(len(one) <= 41 for one in corpora._judged(prepared.held_out))
    for unit in ("word", "character"):
        ratios = [math.log(one[f"held_out/perplexity_{unit}"]) / one["held_out/loss"] for one in (whole, part)]
        assert ratios[0] == pytest.approx(ratios[1], rel=1e-9)
