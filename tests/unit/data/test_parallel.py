"""Pairs in three splits: nothing is alike across them, and the split is the same every time."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path

import pytest

import small_pairs
from strop.data import parallel as module
from strop.data.catalogues import Translations
from strop.data.messages import Message
from strop.data.parallel import NEAR_HELD_OUT, Parallel, parallel, tasks_of
from strop.data.placeholders import bare


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def quiet(line: str) -> None:
    """Tells nobody."""


def texts(pairs) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in pairs]


def runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\u4e00-\u9fff]|[A-Za-z0-9]+", bare(text).lower())
    return {tuple(words[i : i + 2]) for i in range(max(1, len(words) - 1))}


def are_alike(one: str, other: str, near: float) -> bool:
    first, second = runs(one), runs(other)
    return len(first & second) >= near * len(first | second)


@pytest.mark.parametrize(("near", "seed"), [(0.5, 0), (0.5, 1), (0.45, 0), (1.0, 0)])
def test_no_split_holds_what_is_alike_to_another_on_either_side(near, seed, tmp_path):
    """Sentences of three words: two that share the first two words have 1 of 3 runs in common in English, and 3 of 7 in
    Chinese, where a character is a word."""
    rows = [f"{source} %(x)s\t{target}%(x)s" for source, target in small_pairs.sentences()]
    rows += [f"{source.upper()}!\t请{target}" for source, target in small_pairs.sentences()[::3]]
    file = tmp_path / "a.tsv"
    file.write_text("\n".join(["source\ttarget", *rows]), encoding="utf-8")
    found = parallel(file, near=near, seed=seed, tell=quiet)
    parts = {"train": found.train, "development": found.development, "held_out": found.held_out}
    assert all(len(part) >= 3 for part in parts.values())
    for one, other in (("train", "development"), ("train", "held_out"), ("development", "held_out")):
        for first, second in product(parts[one], parts[other]):
            assert not are_alike(first.source, second.source, near)
            assert not are_alike(first.target, second.target, near)
    leaks = [dropped for dropped in found.dropped if dropped.reason == NEAR_HELD_OUT]
    assert len(leaks) + sum(map(len, parts.values())) + found.dropped_by_reason.get("duplicate", 0) == len(rows) - (
        found.dropped_by_reason.get("another translation", 0)
    )
    for one in leaks:  # nothing goes that is like nothing
        kept = (*found.held_out, *found.development)
        assert any(
            are_alike(one.pair.source, pair.source, near) or are_alike(one.pair.target, pair.target, near)
            for pair in kept
        )


def test_one_translation_of_two_texts_never_lies_in_two_splits(tmp_path):
    file = tmp_path / "a.tsv"
    rows = [f"{word}{n}\t{other}" for word, other in small_pairs.WORDS.items() for n in ("a", "b", "c", "d")]
    file.write_text("\n".join(["source\ttarget", *rows]), encoding="utf-8")
    found = parallel(file, held_out=0.3, development=0.2, tell=quiet)
    sides = [{pair.target for pair in part} for part in (found.train, found.development, found.held_out)]
    assert all(sides)
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]


def test_the_split_depends_on_a_source_and_the_seed_alone(tmp_path):
    few = parallel(small_pairs.write(tmp_path / "few.tsv", 100), near=1.0, tell=quiet)
    again = parallel(tmp_path / "few.tsv", near=1.0, tell=quiet)
    assert (few.train, few.development, few.held_out) == (again.train, again.development, again.held_out)
    other = parallel(tmp_path / "few.tsv", near=1.0, seed=1, tell=quiet)
    assert set(few.held_out) != set(other.held_out)
    more = parallel(small_pairs.write(tmp_path / "more.tsv"), near=1.0, tell=quiet)
    assert len(more.train) > len(few.train)
    moved = {source for source, _ in texts(few.held_out)} & {source for source, _ in texts(more.train)}
    assert not moved


def test_shares_are_kept_about(tmp_path):
    found = parallel(small_pairs.write(tmp_path / "a.tsv"), near=1.0, held_out=0.2, development=0.1, tell=quiet)
    assert 0.12 < len(found.held_out) / 210 < 0.28
    assert 0.05 < len(found.development) / 210 < 0.16


def test_three_pairs_are_enough_and_fewer_are_refused(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text("source\ttarget\nred\t红\nblue\t蓝\ngreen\t绿\nOK\tOK\n", encoding="utf-8")
    found = parallel(file, tell=quiet)
    assert [len(part) for part in (found.train, found.development, found.held_out)] == [1, 1, 1]
    file.write_text("source\ttarget\nred\t红\nRED\t红\nblue\t蓝\nOK\tOK\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"of 4 pairs 2 are left after cleaning \(1 untranslated, 1 duplicate\), and 3 are"
    ):
        parallel(file, tell=quiet)


def test_pairs_that_are_all_alike_leave_nothing_to_train_on(tmp_path):
    file = tmp_path / "a.tsv"
    rows = [f"open {word}\t打开{word}" for word in ("one", "two", "three", "four")]
    file.write_text("\n".join(["source\ttarget", *rows]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"of 4 pairs none is left to choose by: .* or a larger near than 0\.3"):
        parallel(file, near=0.3, tell=quiet)


def test_what_was_dropped_is_counted_told_and_listed(tmp_path):
    file = tmp_path / "a.tsv"
    rows = ["red\t红", "blue\t蓝", "green\t绿", "OK\tOK", "PDF\tPDF", "<b>x</b>\t<b>叉</b>"]
    file.write_text("\n".join(["source\ttarget", *rows]), encoding="utf-8")
    said: list[str] = []
    found = parallel(file, tell=said.append)
    assert found.dropped_by_reason == {"untranslated": 2, "markup": 1}
    assert re.match(rf"read 6 pairs of en and zh_Hans from {file}; dropped 2 untranslated, 1 markup: ", said[0])
    assert said[1] == "1 pairs to train on, 1 to choose by, 1 held out"
    listed = Path(said[0].rpartition(": ")[2]).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in listed.splitlines()]
    assert lines[0] == {"reason": "untranslated", "place": f"{file}, line 5", "source": "OK", "target": "OK"}
    assert len(lines) == 3


def test_tasks_hold_source_target_and_place():
    pair = module.Pair("Page", "页面", "django")
    task = tasks_of([pair, pair], "train", separator="\n")[1]
    assert (task.id, task.prompt, task.answer, task.data) == ("train-2", "Page\n", "页面", {"place": "django"})


# ---------------------------------------------------------------- named catalogues

GERMAN = {"Page": "Seite", "Save": "Sichern", "User": "Benutzer", "Close": "Schließen"}
CHINESE = {"Page": "页面", "Save": "保存", "User": "用户", "File": "文件"}


@pytest.fixture
def named(monkeypatch):
    def translations(name, locale, tell):
        there = {"de": GERMAN, "zh_Hans": CHINESE} if name == "django" else {"de": {"Colour": "Farbe"}}
        found = {
            (name, "", text): Message("", text, other, "fuzzy" if text == "File" else "")
            for text, other in there.get(locale, {}).items()
        }
        return Translations(found, frozenset(there))

    monkeypatch.setattr(module, "translations", translations)


def every(found: Parallel) -> set[tuple[str, str]]:
    return set(texts((*found.train, *found.development, *found.held_out)))


def test_languages_are_changed_by_fields(named):
    assert every(parallel("django", tell=quiet)) == {("Page", "页面"), ("Save", "保存"), ("User", "用户")}
    assert every(parallel("django", "zh_Hans", "en", tell=quiet)) == {
        ("页面", "Page"),
        ("保存", "Save"),
        ("用户", "User"),
    }
    assert ("Close", "Schließen") in every(parallel("django", target="de", tell=quiet))
    found = parallel("django", "zh_Hans", "de", tell=quiet)
    assert every(found) == {("页面", "Seite"), ("保存", "Sichern"), ("用户", "Benutzer")}
    assert found.dropped_by_reason == {"untranslated": 1}  # Close is not in Chinese


def test_a_flaw_of_either_side_drops_a_pair(named):
    assert parallel("django", tell=quiet).dropped_by_reason == {"fuzzy": 1}


def test_a_catalogue_without_the_language_is_told_and_others_are_read(named):
    said: list[str] = []
    parallel("wagtail, django", tell=said.append)
    assert said[0] == "wagtail has no messages in zh_Hans"
    assert ("Colour", "Farbe") in every(parallel("wagtail,django", target="de", tell=quiet))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"target": "zh_Hant"}, r"django: no message is in 'zh_Hant'; did you mean zh_Hans\? They have de, zh_Hans\."),
        ({"target": "qq"}, r"django: no message is in 'qq'; they have de, zh_Hans\."),
        ({"source": "zh-CN"}, "source=zh-CN and target=zh_Hans are one language"),
        ({"target": " "}, "target is empty"),
        ({"data": "djngo"}, r"no file or catalogue 'djngo'; did you mean django\? By name there are django, wagtail"),
        ({"data": "mine.tsv"}, r"no file or catalogue 'mine.tsv'; by name there are django, .*data=FILE, a \.tsv"),
        ({"data": ""}, "there is no file or catalogue ''"),
        ({"held_out": 0.0}, "shares above 0, and together below 1"),
        ({"held_out": 0.7, "development": 0.3}, "shares above 0, and together below 1"),
        ({"near": 0.0}, "near=0.0: it is a similarity above 0"),
    ],
)
def test_what_cannot_be_is_one_clear_line(options, error, named):
    with pytest.raises(ValueError, match=error) as raised:
        parallel(**{"data": "django", "tell": quiet, **options})
    assert "\n" not in str(raised.value)


def test_auto_reads_what_this_system_can_download(named, monkeypatch):
    monkeypatch.setattr(module, "usual", lambda: "django")
    assert every(parallel(tell=quiet)) == every(parallel("django", tell=quiet))
