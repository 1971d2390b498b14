"""Log-probs and perplexity of counted models beside nltk.lm, in English words and Chinese characters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

import strop

nltk = pytest.importorskip("nltk.lm", reason="nltk is not installed (strop[dev])")

END = "<end>"
ENGLISH = """\
once upon a time there was a miller who was poor but he had a beautiful daughter
it happened one day that he came to speak with the king
and to give himself importance he told him that he had a daughter who could spin gold out of straw
the king said to the miller that is an art that pleases me well
if thy daughter is as clever as you say bring her to my castle and i will put her to the test
when the girl was brought to him he led her into a room that was quite full of straw
gave her a wheel and a spindle and said now set to work
and if by the morning thou hast not spun this straw to gold thou shalt die
thereupon he shut the door and she was left alone
there sat the unfortunate miller and for the life of her she knew not what to do
"""
CHINESE = """\
床前明月光疑是地上霜举头望明月低头思故乡
白日依山尽黄河入海流欲穷千里目更上一层楼
春眠不觉晓处处闻啼鸟夜来风雨声花落知多少
千山鸟飞绝万径人踪灭孤舟蓑笠翁独钓寒江雪
空山不见人但闻人语响返景入深林复照青苔上
红豆生南国春来发几枝愿君多采撷此物最相思
独坐幽篁里弹琴复长啸深林人不知明月来相照
松下问童子言师采药去只在此山中云深不知处
"""
TEXTS = {
    "english": [line.split() for line in ENGLISH.splitlines()],
    "chinese": [list(line) for line in CHINESE.splitlines()],
}


def events(documents: Sequence[Sequence[str]], order: int) -> Iterator[tuple[str, ...]]:
    """The n-gram of every word and of every document's end; before a document there are ends alone."""
    for document in documents:
        padded = [END] * (order - 1) + [*document, END]
        for i in range(order - 1, len(padded)):
            yield tuple(padded[i - order + 1 : i + 1])


def held_out(documents: Sequence[Sequence[str]]) -> list[list[str]]:
    """Other documents of the same words: half of one, and half of the next backwards."""
    pairs = zip(documents, [*documents[1:], documents[0]], strict=True)
    return [[*one[: len(one) // 2], *other[::-1][: len(other) // 2]] for one, other in pairs]


def ours(documents: Sequence[Sequence[str]], more: Sequence[str] = (), **fields: Any) -> tuple[Any, Any]:
    """The counted policy and its codec: all documents stand in one row, with ends between them."""
    words = [*dict.fromkeys(word for document in documents for word in document), *more]
    policy, codec = strop.policies.NGram.Config(words=words, **fields).build(0)
    tokens_1T = torch.tensor([stream(documents, codec)])
    counted_1T = torch.ones_like(tokens_1T, dtype=torch.bool)
    counted_1T[0, 0] = False  # the end that begins the first one
    policy.count(tokens_1T, counted_1T)
    return policy, codec


def stream(documents: Sequence[Sequence[str]], codec: Any) -> tuple[int, ...]:
    return codec.encode(" ".join([END, *(word for document in documents for word in (*document, END))]))


def theirs(model: Any, documents: Sequence[Sequence[str]], order: int) -> Any:
    words = {word for document in documents for word in (*document, END)}
    grams = [[ngram[-length:] for ngram in events(documents, order)] for length in range(1, order + 1)]
    model.fit(grams, vocabulary_text=sorted(words))
    return model


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("language", TEXTS)
def test_kneser_ney_is_nltks(language: str, order: int) -> None:
    documents = TEXTS[language]
    for discount in (0.1, 0.75):
        policy, codec = ours(documents, order=order, discount=discount)
        model = theirs(nltk.KneserNeyInterpolated(order, discount=discount), documents, order)
        compare(policy, codec, model, order, documents[:2] + held_out(documents)[:5])


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("language", TEXTS)
def test_add_k_is_nltks(language: str, order: int) -> None:
    documents = TEXTS[language]
    for k in (0.1, 1.0):
        # nltk's vocabulary holds <UNK> too
        policy, codec = ours(documents, ["<UNK>"], order=order, smoothing="add-k", k=k)
        compare(policy, codec, theirs(nltk.Lidstone(k, order), documents, order), order, held_out(documents))


def compare(policy: Any, codec: Any, model: Any, order: int, documents: Sequence[Sequence[str]]) -> None:
    """Every log-prob, read in both ways, and the perplexity."""
    ngrams = list(events(documents, order))
    expected = [math.log(model.score(ngram[-1], ngram[:-1])) for ngram in ngrams]
    tokens = stream(documents, codec)
    scored = policy.score(tokens)[1:]
    assert scored.tolist() == pytest.approx(expected, abs=1e-9)
    assert math.exp(-scored.mean()) == pytest.approx(model.perplexity(ngrams), rel=1e-9)
    read_NV = policy.prefill([tokens[:t] for t in range(1, len(tokens))])[0]
    assert read_NV.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].tolist() == pytest.approx(expected, abs=1e-9)
