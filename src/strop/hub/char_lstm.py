"""textgenrnn's published weights, a Keras file, as a folder that `strop.FromFolder` reads.

The layers are saved in the layout of cuDNN (Keras 2.1, `convert_rnn_weights`): a gate's kernel is its transpose read
in the other order, a recurrent one its transpose, and there are two biases. The gates are i, f, g, o, as torch's.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from strop.types import END_TOKEN, Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

VOCABULARY = "textgenrnn_vocab.json"
META, UNKNOWN = "<s>", "<unk>"
"""The token that begins and ends a text, and the name of token 0: what has no token, and what stands before a text."""
POLICY = "strop.policies.TextGenRNN.Config"
WINDOW = 40


def convert(archive: Path, weights: str, into: Path) -> None:
    """Write the folder from the source archive of the package; `weights` is a file in it, the vocabulary beside it."""
    import h5py

    with tarfile.open(archive) as files:
        opened = [files.extractfile(name) for name in (weights, str(Path(weights).with_name(VOCABULARY)))]
        assert opened[0] is not None
        assert opened[1] is not None
        keras, vocabulary = opened[0].read(), json.loads(opened[1].read().decode("utf-8"))
    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(io.BytesIO(keras)) as file:
        file.visititems(keep)
    write(into, arrays, vocabulary)


def write(into: Path, arrays: Mapping[str, np.ndarray], vocabulary: Mapping[str, int]) -> None:
    """Write the folder of these weights and this vocabulary."""
    from safetensors.torch import save_file

    tensors, tokenizer = weights_of(arrays), tokenizer_of(vocabulary)
    embedding, width = arrays["rnn_1/rnn_1/kernel:0"].shape[0], arrays["rnn_1/rnn_1/recurrent_kernel:0"].shape[0]
    num_layers = sum(name.endswith("recurrent_kernel:0") for name in arrays)
    policy = {
        "class": POLICY,
        "words": [],
        "has_end": True,
        "tokenizer": {"tokenizer": "tokenizer.json", "sha256": tokenizer.sha256},
        "window": WINDOW,
        "embedding": embedding,
        "width": width,
        "num_layers": num_layers,
        "value_head": False,
    }
    state = {"weights": {name: {"$tensor": f"weights/{name}"} for name in tensors}}
    into.mkdir(parents=True)
    text = json.dumps({"strop_format": 1, "policy": policy, "state": state}, indent=2, ensure_ascii=False)
    (into / "config.json").write_text(text + "\n", encoding="utf-8")
    (into / "tokenizer.json").write_text(tokenizer.json, encoding="utf-8", newline="")
    save_file({f"weights/{name}": tensor for name, tensor in tensors.items()}, into / "model.safetensors")


def weights_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The weights of `strop.policies.TextGenRNN` from those of the Keras layers, by their names in the file."""
    import torch

    found = {
        "trunk.embedding.weight": arrays["embedding/embedding/embeddings:0"],
        "trunk.attention": arrays["attention/attention/attention_W:0"][:, 0],
        "output.weight": arrays["output/output/kernel:0"].T,
        "output.bias": arrays["output/output/bias:0"],
    }
    for layer in range(sum(name.endswith("recurrent_kernel:0") for name in arrays)):
        kernel, recurrent, bias = (
            arrays[f"rnn_{layer + 1}/rnn_{layer + 1}/{part}:0"] for part in ("kernel", "recurrent_kernel", "bias")
        )
        gates = [gate.T.reshape(gate.shape, order="F") for gate in np.hsplit(kernel, 4)]
        found |= {
            f"trunk.layers.{layer}.weight_ih_l0": np.hstack(gates).T,
            f"trunk.layers.{layer}.weight_hh_l0": np.hstack([gate.T for gate in np.hsplit(recurrent, 4)]).T,
            f"trunk.layers.{layer}.bias_ih_l0": np.split(bias, 2)[0],
            f"trunk.layers.{layer}.bias_hh_l0": np.split(bias, 2)[1],
        }
    return {name: torch.tensor(np.ascontiguousarray(array, dtype=np.float32)) for name, array in found.items()}


def tokenizer_of(vocabulary: Mapping[str, int]) -> Tokenizer:
    """One token a character, with the ids of the file; `<end>` stands before a text and at its end."""
    from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors
    from tokenizers import Tokenizer as Backend

    ids = {UNKNOWN: 0} | {END_TOKEN if token == META else token: number for token, number in vocabulary.items()}
    backend = Backend(models.WordLevel(ids, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens([AddedToken(END_TOKEN, special=True, normalized=False)])
    end = [(END_TOKEN, ids[END_TOKEN])]
    backend.post_processor = processors.TemplateProcessing(single=f"{END_TOKEN} $A", special_tokens=end)
    return Tokenizer(backend.to_str(pretty=False))
