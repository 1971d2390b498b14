"""chrF and BLEU by hand and beside sacrebleu's own functions; scripts by hand; corpus BLEU is no mean."""

from __future__ import annotations

import math
import random

import pytest
from one_turn import wrote

import strop
from strop.rewards import ChrF, InScript, SentenceBleu, _sacrebleu
from strop.types import Task

TASK = Task("t", "Delete page", answer="删除页面")


def scored(reward, text, task=TASK):
    return reward(task, wrote(task, text))


def test_chrf_by_hand():
    """删除图片 against 删除页面, n = 1 to 4 (neither text has 5 characters, so sacrebleu's effective order is 4).

    n=1: 2 of 4, n=2: 1 of 3, n=3: 0 of 2, n=4: 0 of 1, and P = R = (1/2 + 1/3 + 0 + 0) / 4 = 5/24. F of equal P and R
    is P.
    """
    assert scored(ChrF(), "删除图片") == pytest.approx(5 / 24)


def test_chrf_weighs_recall_more_than_precision():
    """With n = 1 alone: 页面 has P = 1, R = 1/2; 删除页面删除页面 has P = 1/2, R = 1. F = 5 P R / (4 P + R)."""
    assert scored(ChrF(order=1), "页面") == pytest.approx(5 * 0.5 / (4 + 0.5))
    assert scored(ChrF(order=1), "删除页面删除页面") == pytest.approx(5 * 0.5 / (2 + 1))
    assert scored(ChrF(order=1, beta=1), "页面") == pytest.approx(2 * 0.5 / 1.5)


@pytest.mark.parametrize(("text", "score"), [("删除页面", 1.0), ("删 除 页 面", 1.0), ("Delete page", 0.0), ("", 0.0)])
def test_chrf_of_what_is_right_and_of_what_is_not(text, score):
    assert scored(ChrF(), text) == pytest.approx(score)


def test_copying_pays_only_for_what_both_languages_share():
    task = Task("t", "Delete %(name)s", answer="删除 %(name)s")
    copied = scored(ChrF(), "Delete %(name)s", task)
    assert 0.4 < copied < 0.8
    assert scored(InScript(), "Delete %(name)s", task) == 0.0
    assert scored(InScript(), task.answer, task) == pytest.approx(2 / 7)


def test_sentence_bleu_by_hand():
    """删除图片 against 删除页面: precisions 2/4 and 1/3, then no match: 1/2 of one of 2, and 1/4 of one of 1."""
    expected = math.prod([2 / 4, 1 / 3, (1 / 2) / 2, (1 / 4) / 1]) ** (1 / 4)
    assert scored(SentenceBleu(), "删除图片") == pytest.approx(expected)


def test_sentence_bleu_of_a_short_text_is_punished_for_its_length():
    """页面: precisions 2/2 and 1/1, no longer n-gram; brevity exp(1 - 4/2)."""
    assert scored(SentenceBleu(), "页面") == pytest.approx(math.exp(1 - 4 / 2))


def test_words_of_bleu_depend_on_the_tokenisation():
    task = Task("t", "删除 页面", answer="Delete the page now!")
    # 13a splits the sign off: 5 words, of which 4 match; 3 of 4 pairs, 2 of 3, 1 of 2
    assert scored(SentenceBleu(tokenize="13a"), "Delete the page now?", task) == pytest.approx((1 / 5) ** 0.25)
    assert scored(SentenceBleu(tokenize="char"), "Delete the page now?", task) > 0.9


def random_texts(number: int) -> list[str]:
    dice = random.Random(3)
    return [
        "".join(dice.choice("删除页面打开abc ") for _ in range(dice.randrange(1, 12))) + "页" for _ in range(number)
    ]


def test_they_are_what_sacrebleu_says():
    import sacrebleu

    texts = random_texts(40)
    for text, reference in zip(texts[:20], texts[20:], strict=True):
        task = Task("t", "x", answer=reference)
        chrf = sacrebleu.sentence_chrf(text, [reference]).score / 100
        assert scored(ChrF(), text, task) == pytest.approx(chrf)
        double = sacrebleu.sentence_chrf(text, [reference], word_order=2).score / 100
        assert scored(ChrF(words=2), text, task) == pytest.approx(double)
        bleu = sacrebleu.sentence_bleu(text, [reference], tokenize="zh").score / 100
        assert scored(SentenceBleu(), text, task) == pytest.approx(bleu)


def test_bleu_of_a_corpus_is_no_mean_of_sentences():
    import sacrebleu

    texts = random_texts(40)
    corpus = sacrebleu.corpus_bleu(texts[:20], [texts[20:]], tokenize="zh").score / 100
    pairs = zip(texts[:20], texts[20:], strict=True)
    mean = sum(scored(SentenceBleu(), text, Task("t", "x", answer=reference)) for text, reference in pairs) / 20
    assert abs(corpus - mean) > 0.02


@pytest.mark.parametrize(
    ("script", "text", "share"),
    [
        ("CJK", "删除 page", 2 / 6),
        ("LATIN", "删除 page", 4 / 6),
        ("CYRILLIC", "страница", 1.0),
        ("HIRAGANA", "ページを開く", 2 / 6),
        ("CJK", "123 %!？", 0.0),
        ("CJK", "", 0.0),
    ],
)
def test_the_share_of_a_script(script, text, share):
    # ー in ページ is a letter of both kana, and Unicode's name for it is KATAKANA-HIRAGANA
    assert scored(InScript(script), text) == pytest.approx(share)


@pytest.mark.parametrize("reward", [ChrF(), SentenceBleu()])
@pytest.mark.parametrize("answer", ["", " "])
def test_a_task_without_a_reference_is_an_error(reward, answer):
    with pytest.raises(ValueError, match=r"task 't' has no answer: .* compares a text with it"):
        scored(reward, "页面", Task("t", "x", answer=answer))


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda: ChrF(order=0), r"ChrF\.order"),
        (lambda: ChrF(beta=0), r"ChrF\.beta"),
        (lambda: ChrF(words=-1), r"ChrF\.words"),
        (lambda: SentenceBleu(tokenize="ja"), "one of zh, 13a, char, intl"),
        (lambda: InScript("HAN"), r"InScript\('HAN'\): Unicode names no letter so\. Scripts are CJK"),
        (lambda: InScript("cjk"), "Unicode names no letter so"),
    ],
)
def test_settings_that_cannot_be_are_refused(made, error):
    with pytest.raises(ValueError, match=error):
        made()


@pytest.mark.parametrize("reward", ["ChrF", "SentenceBleu"])
def test_without_sacrebleu_the_extra_is_named(reward, monkeypatch):
    monkeypatch.setattr(_sacrebleu, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=rf'{reward} needs the package sacrebleu: pip install "strop\[translate\]"'
    ):
        getattr(strop.rewards, reward)()
