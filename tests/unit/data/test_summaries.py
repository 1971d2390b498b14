"""Descriptions and their summaries: what is dropped, what is one family, and that the splits share nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import small_descriptions
from strop.data import summarise
from strop.data.debian import Described
from strop.data.summarise import Summaries, family_of, summaries
from strop.data.twins import leaks

LONG = (
    "words that are no other text's own, such as {0} and {0}s, or what a {0} does on a day when nobody reads it "
    "but its {0}"
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))


def read(rows: list[dict[str, str]]) -> tuple[Summaries, str]:
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said: list[str] = []
    return summaries("rows.jsonl", tell=said.append), "\n".join(said)


def ids(found: Summaries) -> list[str]:
    return [task.id for part in (found.train, found.development, found.held_out) for task in part]


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (["foo", "libfoo", "libfoo-dev", "python3-foo", "python-foo", "foo-doc", "ruby-foo", "foo2", "foo-1.2"], "foo"),
        (["libfoo-perl", "foo-data", "r-cran-foo", "golang-github-foo-dev", "Foo", "haskell-foo"], "foo"),
        (["foo-bar", "node-foo-bar", "foo-bar-utils"], "foo-bar"),
        (["python3", "python3.11"], "python"),
        (["7zip"], "7zip"),
        (["2048"], "2048"),
    ],
)
def test_packages_of_one_stem_are_a_family(names, family):
    assert {family_of(name) for name in names} == {family}


def test_a_tenth_is_held_out_and_a_tenth_chosen_by():
    found, said = read(small_descriptions.pairs())
    assert [len(found.held_out), len(found.development)] == [21, 21]
    assert len(found.train) == 216 - 42
    assert "174 pairs to train on, 21 to choose by, 21 held out" in said
    task = found.train[0]
    assert task.prompt.startswith(f"{task.id} is a {task.answer}.")


def test_of_a_family_the_first_is_taken_whatever_its_split():
    rows = small_descriptions.pairs()[:40]
    twins = [row | {"id": f"{row['id']}-2", "text": LONG.format(row["id"]) + " and so on"} for row in rows]
    found, said = read(rows + twins)
    assert set(ids(found)) == {row["id"] for row in rows}
    assert "40 of a family that is there" in said


def test_without_families_each_row_is_one():
    rows = [{key: row[key] for key in ("text", "summary")} for row in small_descriptions.pairs()]
    assert len(ids(read(rows)[0])) == 216


def test_a_split_does_not_depend_on_the_order_of_the_rows():
    rows = small_descriptions.pairs()
    assert ids(read(rows)[0]) == ids(read(rows[::-1])[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": "A few words."}, "1 too short or too long"),
        ({"text": "word " * 161}, "1 too short or too long"),
        ({"summary": "an editor"}, "1 with a summary too short or too long"),
        ({"summary": "word " * 15}, "1 with a summary too short or too long"),
        ({"summary": "editor of maps (transitional package)"}, "1 nothing by themselves"),
    ],
)
def test_what_cannot_be_learnt_from_is_dropped_and_counted(change, reason):
    rows = small_descriptions.pairs()[:40]
    found, said = read([rows[0] | change, *rows[1:]])
    assert rows[0]["id"] not in ids(found)
    assert len(ids(found)) == 39
    assert reason in said


def test_spaces_become_one_and_a_last_point_goes():
    rows = small_descriptions.pairs()[:40]
    changed = [row | {"text": row["text"].replace(" ", "  "), "summary": f" {row['summary']}. "} for row in rows]
    assert read(changed)[0] == read(rows)[0]


def test_a_near_twin_of_a_held_out_text_and_one_of_its_summary_leave_training():
    rows = small_descriptions.pairs()
    held = read(rows)[0].held_out[0]
    near = {"id": "near", "text": f"{held.prompt} Indeed.", "summary": "quite another line", "family": "near"}
    same = {"id": "same", "text": LONG.format("zebra"), "summary": held.answer.upper(), "family": "same"}
    other = {"id": "other", "text": LONG.format("gnu"), "summary": "quite a third line", "family": "other"}
    assert {summarise._place(name) > summarise._place(held.id) for name in ("near", "same", "other")} == {True}
    found, said = read([*rows, near, same, other])
    assert not {"near", "same"} & set(ids(found))
    assert "other" in ids(found)
    assert "2 near twins of a held-out one" in said
    assert not leaks(found.train, [*found.held_out, *found.development], summarise.NEAR)


def test_too_few_texts_are_one_line():
    with pytest.raises(ValueError, match="2 families of texts are left after cleaning: too few"):
        read(small_descriptions.pairs()[:2])


def test_without_apt_a_file_is_asked_for(monkeypatch):
    monkeypatch.setattr(summarise, "has_apt", lambda: False)
    with pytest.raises(ValueError, match="from apt, which this machine does not have: give a file of your own, data="):
        summaries()


def test_debians_packages_are_fetched_once_and_the_main_one_of_a_family_stays(monkeypatch):
    calls = list[int]()

    def fetched(tell):
        calls.append(1)
        return [
            Described(name, row["id"], row["summary"], row["text"])
            for row in small_descriptions.pairs()
            for name in (f"lib{row['id']}-dev", row["id"])
        ]

    monkeypatch.setattr(summarise, "has_apt", lambda: True)
    monkeypatch.setattr(summarise, "described", fetched)
    one, other = summaries(tell=print), summaries(tell=print)
    assert one == other
    assert len(calls) == 1
    assert set(ids(one)) == {row["id"] for row in small_descriptions.pairs()}
