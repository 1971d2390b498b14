"""Which documents are held out, and what they share with the others."""

from __future__ import annotations

import numpy as np
import pytest

from strop.data.overlap import shared_runs
from strop.data.splitting import split


def hashes(number: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 64, number, np.uint64)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.5])
def test_a_share_is_held_out_and_every_document_is_in_one_split(share):
    train, held = split(hashes(20_000), share)
    assert sorted([*train, *held]) == list(range(20_000))
    deviation = np.sqrt(20_000 * share * (1 - share))
    assert abs(len(held) - 20_000 * share) < 4 * deviation
    assert (np.diff(train) > 0).all()


def test_further_documents_and_another_order_move_none():
    codes = hashes(2000)
    before = codes[split(codes, 0.05)[1]].tolist()
    more = np.concatenate([hashes(500, seed=1), codes[::-1]])
    after = more[split(more, 0.05)[1]].tolist()
    assert [code for code in after if code in set(codes.tolist())] == before
    assert len(after) > len(before)


def test_of_two_documents_one_is_held_out_and_of_one_none():
    for seed in range(50):
        train, held = split(hashes(2, seed), 0.01)
        assert (len(train), len(held)) == (1, 1)
        train, held = split(hashes(2, seed), 0.99)
        assert (len(train), len(held)) == (1, 1)
    assert [len(part) for part in split(hashes(1), 0.5)] == [1, 0]
    assert [len(part) for part in split(hashes(0), 0.5)] == [0, 0]


def test_a_prefix_of_the_held_out_documents_does_not_depend_on_their_order_in_the_source():
    codes = np.sort(hashes(5000))
    _, held = split(codes, 0.2)
    first, rest = held[:200], held[200:]
    assert abs(np.mean(first) - np.mean(rest)) < 4 * 5000 / np.sqrt(12 * 200)


def test_shared_runs_of_13_words_are_counted_by_document_and_shown():
    words = [f"word{i}" for i in range(200)]
    train = [" ".join(words[:50]), "short text", " ".join(words[60:90]).upper()]
    held = [
        " ".join(["Some", *words[10:23], "end"]),  # 13 words of the first
        " ".join(["some", *words[10:22], "end"]),  # 12
        " ".join(words[45:60]),  # 5 of the first, then others
        "short text",
        "well, " + ", ".join(words[70:90]) + ".",  # 20 words of the third, in other letters
    ]
    shared = shared_runs(lambda: held, lambda: train)
    assert (shared.length, shared.documents) == (13, 2)
    assert shared_runs(lambda: ["short text", *train[:1]], lambda: train[:1]).examples == (" ".join(words[:13]),)
    assert tuple(shared.examples) == (" ".join(words[10:23]), ", ".join(words[70:83]) + ",")


def test_of_chinese_a_run_is_13_characters():
    text = "春眠不覺曉處處聞啼鳥夜來風雨聲花落知多少"
    assert shared_runs(lambda: ["紅豆" + text[:13]], lambda: [text]).documents == 1
    assert shared_runs(lambda: ["紅豆" + text[:12]], lambda: [text]).documents == 0
