"""textgenrnn: equal to Keras' formula on made-up weights, and on the published ones where these are local."""

from __future__ import annotations

import io
import json
import math
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import strop
from language_models import logits_of
from strop.hub import char_lstm, models
from strop.types import Episode, Task

Array = Any
EMBEDDING, WIDTH, VOCABULARY = 3, 4, {"a": 1, "b": 2, "<s>": 3, " ": 4, "c": 5}
IS_LOCAL = any(one.name == "textgenrnn" and one.path is not None for one in models.local_models())
published = pytest.mark.skipif(not IS_LOCAL, reason="textgenrnn is not in the local cache: strop models get textgenrnn")


class Keras:
    """The layers as Keras computes them on a CPU: one kernel [inputs, 4 gates], gates in the order i, f, c, o."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.embedding = rng.normal(size=(6, EMBEDDING))
        self.lstm = [
            [rng.normal(size=(below, 4 * WIDTH)), rng.normal(size=(WIDTH, 4 * WIDTH)), rng.normal(size=4 * WIDTH)]
            for below in (EMBEDDING, WIDTH)
        ]
        self.attention = rng.normal(size=(EMBEDDING + 2 * WIDTH, 1))
        self.kernel, self.bias = rng.normal(size=(EMBEDDING + 2 * WIDTH, 6)), rng.normal(size=6)

    def arrays(self) -> dict[str, Array]:
        """As the file holds them: `convert_rnn_weights` of Keras 2.1, from LSTM to CuDNNLSTM."""
        found = {
            "embedding/embedding/embeddings:0": self.embedding,
            "attention/attention/attention_W:0": self.attention,
            "output/output/kernel:0": self.kernel,
            "output/output/bias:0": self.bias,
        }
        for i, (kernel, recurrent, bias) in enumerate(self.lstm, 1):
            gates = [gate.T.reshape(gate.shape, order="C") for gate in np.hsplit(kernel, 4)]
            found[f"rnn_{i}/rnn_{i}/kernel:0"] = np.hstack(gates)
            found[f"rnn_{i}/rnn_{i}/recurrent_kernel:0"] = np.hstack([gate.T for gate in np.hsplit(recurrent, 4)])
            found[f"rnn_{i}/rnn_{i}/bias:0"] = np.tile(0.5 * bias, 2)
        return found

    def logits(self, ids: list[int], window: int = 40) -> Array:
        """After these ids, of which it reads the last 40, with 0 before them."""
        ids = ids[-window:]
        sequence = [self.embedding[token] for token in [0] * (window - len(ids)) + ids]
        concatenated = [sequence]
        for kernel, recurrent, bias in self.lstm:
            h, c, outputs = np.zeros(WIDTH), np.zeros(WIDTH), []
            for x in concatenated[-1]:
                i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
                c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
                h = np.tanh(c) / (1 + np.exp(-o))
                outputs.append(h)
            concatenated.append(outputs)
        steps = [np.concatenate(parts) for parts in zip(*concatenated, strict=True)]
        weights = [math.exp(float(step @ self.attention[:, 0])) for step in steps]
        average = sum(weight * step for weight, step in zip(weights, steps, strict=True)) / sum(weights)
        return average @ self.kernel + self.bias


@pytest.fixture
def made(tmp_path: Path) -> Path:
    char_lstm.write(tmp_path / "made", Keras().arrays(), VOCABULARY)
    return tmp_path / "made"


def test_its_logits_are_those_of_keras(made: Path) -> None:
    policy, codec = strop.FromFolder(folder=str(made)).build(0, "float32")
    ids = codec.start("abc a?c" * 7)  # longer than the window of 40
    assert ids[:8] == (3, 1, 2, 5, 4, 1, 0, 5)  # it begins as a document does; what has no token is 0
    wanted = np.stack([Keras().logits(list(ids[: n + 1])) for n in range(len(ids) - 1)])
    assert np.abs(logits_of(policy, [ids])[0].detach().numpy() - wanted).max() < 1e-5
    last = policy.prefill([ids])[0][0].numpy()
    assert np.abs(last - Keras().logits(list(ids))).max() < 1e-5


def test_its_text_comes_back_without_the_end(made: Path) -> None:
    _, codec = strop.FromFolder(folder=str(made)).build(0, "float32")
    assert (codec.end, codec.stop) == (3, {3})
    assert codec.decode((*codec.encode("a cab"), 3)) == "a cab"
    assert codec.start("") == (3,)


def test_the_gradient_does_not_depend_on_how_windows_are_cut(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, codec = strop.FromFolder(folder=str(made)).build(0, "float32")
    rows = [codec.start("abc a" * 3), codec.start("cc")]
    gradients = []
    for chunk in (3, 1000):
        monkeypatch.setattr("strop.policies.textgenrnn.CHUNK", chunk)
        for parameter in policy.parameters():
            parameter.grad = None
        sum(logits_TV.square().sum() for logits_TV in logits_of(policy, rows)).backward()
        gradients.append([parameter.grad.clone() for parameter in policy.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()


def test_the_archive_is_read_and_written(tmp_path: Path, made: Path) -> None:
    h5py = pytest.importorskip("h5py")
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        for name, array in Keras().arrays().items():
            file[name] = array
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as files:
        for name, data in (
            ("x/w.hdf5", held.getvalue()),
            (f"x/{char_lstm.VOCABULARY}", json.dumps(VOCABULARY).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            files.addfile(info, io.BytesIO(data))
    char_lstm.convert(tmp_path / "x.tar.gz", "x/w.hdf5", tmp_path / "again")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes()


def spaced(task: Task, episode: Episode) -> float:
    """The share of spaces."""
    return episode.text.count(" ") / max(len(episode.text), 1)


@pytest.mark.parametrize(
    "name",
    [pytest.param("made", marks=pytest.mark.matrix), pytest.param("textgenrnn", marks=[pytest.mark.model, published])],
)
def test_a_reward_teaches_it(name: str, made: Path, tmp_path: Path) -> None:
    run = strop.train(
        strop.TrainConfig(
            policy=str(made) if name == "made" else name,
            tasks=[Task("1", "a c"), Task("2", "")],
            rewards=[spaced],
            algorithm=strop.algorithms.RLOO.Config(optimizer=strop.optimizer.AdamW(lr=0.01)),
            sampling=strop.Sampling(max_tokens=5),
            group_size=16,
            prompts_per_step=2,
            steps=8,
            threads=1,
        ),
        tmp_path / "run",
    )
    rewards = [row["reward/mean"] for row in run.metrics() if "reward/mean" in row]
    assert sum(rewards[-3:]) > sum(rewards[:3])


@pytest.mark.model
@published
def test_the_published_weights_predict_a_title() -> None:
    policy, codec = strop.FromFolder(folder="textgenrnn").build(0, "float32")
    ids = (*codec.start("What is the best way to make a new friend in a city?"), codec.end)
    with torch.no_grad():
        logprobs_TV = torch.log_softmax(logits_of(policy, [ids])[0], dim=-1)
    # .88 to 1.06 nats a character on three titles, by an independent reading of the file (ln 465 = 6.1 for none)
    assert -logprobs_TV[range(len(ids) - 1), ids[1:]].mean() < 1.2
    lstm = 4 * 128 * (100 + 128) + 4 * 128 * (128 + 128) + 2 * 1024
    assert sum(p.numel() for p in policy.parameters()) == 465 * 100 + lstm + 356 + 465 * 356 + 465
