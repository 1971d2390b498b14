"""Questions with short answers: the table of countries, the split by entity, and a file of one's own."""

import json
import zipfile

import pytest

from strop.data.answer import answers, entity_of, kinds_of
from strop.data.countries import PACKAGE, VERSION, countries


def row(code, name, capital="Town", **fields):
    return {
        "name": name,
        "capital": capital,
        "region": "Europe",
        "demonym": "Ann,Bob",
        "tld": [f".{code.lower()}"],
        "callingCodes": ["12"],
        "ISO": {"alpha2": code},
        **fields,
    }


ROWS = [
    row("US", "United States", "Washington D.C.", region="Americas"),
    row("CG", "Congo"),
    row("CD", "Other Congo"),
    row("AG", "Antigua", "St. John's"),
    row("AN", "Antilles"),
    row("XX", "Nowhere", None),
    row("YY", "No people", demonym=None),
    *(row(f"{a}{b}", f"{a}{b}land", f"{b}{a}ville") for a in "QRST" for b in "JKLMN"),
]


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / "tables" / f"{PACKAGE}-{VERSION}.whl"
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as archive:
        for i, one in enumerate(ROWS):
            archive.writestr(f"{PACKAGE}/data/{i}.json", json.dumps(one))
        archive.writestr(f"{PACKAGE}/data/no_iso/a.json", json.dumps(row("ZZ", "No country")))
        archive.writestr(f"{PACKAGE}/data/list.json", "[]")


def quiet(line):
    pass


def read(data="capitals,facts", **options):
    return answers(data, tell=quiet, **options)


def test_a_row_that_lacks_something_is_no_country():
    assert {one.code for one in countries()} == {one["ISO"]["alpha2"] for one in ROWS} - {"AN", "XX", "YY"}


def test_an_entity_with_all_its_questions_is_in_one_split():
    found = read()
    splits = [{entity_of(task) for task in split} for split in (found.train, found.development, found.held_out)]
    assert [len(one) for one in splits] == [10, 4, 9]  # of 23 entities: .4 are 9.2, .15 are 3.5
    assert len(set.union(*splits)) == 23
    assert "CD" not in set.union(*splits)  # it is with the other Congo
    assert kinds_of(found.held_out)["capital"] >= 6


def test_the_questions_and_what_they_accept():
    found = read()
    tasks = {task.id: task for split in (found.train, found.development, found.held_out) for task in split}
    capital, continent = tasks["capital-US"], tasks["continent-US"]
    assert (capital.prompt, capital.answer) == ("What is the capital of United States?", "Washington D.C.")
    assert {"Washington", "Washington, United States"} <= set(capital.data["accepted"])
    assert (continent.answer, "North America" in continent.data["accepted"]) == ("America", True)
    assert "Saint John's" in tasks["capital-AG"].data["accepted"]
    assert tasks["people-AG"].data["accepted"] == ["Bob", "Anns", "Bobs"]
    assert tasks["calling code-AG"].answer == "+12"
    assert tasks["domain-AG"].answer == ".ag"
    assert capital.data["begin"] == "The capital of United States is"
    assert tasks["domain-AG"].data["begin"] == "The country-code internet domain of Antigua is"


def test_auto_takes_capitals():
    assert set(kinds_of(read("auto").train)) == {"capital"}
    assert read("auto") == read("capitals")


def test_another_seed_deals_another_split_and_the_same_the_same():
    assert read().held_out == read().held_out
    assert {entity_of(task) for task in read(seed=1).held_out} != {entity_of(task) for task in read().held_out}


def test_a_file_of_ones_own(tmp_path):
    lines = [
        "question\tanswer\tentity",
        *(f"Who wrote book {i} of {i // 2}?\tAnn {i}|A. {i}\t{i // 2}" for i in range(20)),
    ]
    file = tmp_path / "own.tsv"
    file.write_text("\n".join(lines), encoding="utf-8")
    found = read(str(file), held_out=0.3, development=0.2)
    assert [len({entity_of(task) for task in one}) for one in (found.development, found.held_out)] == [2, 3]
    for task in found.held_out:
        number = task.answer.removeprefix("Ann ")
        assert task.data["accepted"] == [f"A. {number}"]


def test_a_training_question_that_is_asked_again_in_another_split_is_left_out(tmp_path):
    lines = [
        "question\tanswer\tentity",
        *(f"Who?\tAnn\t{i}" for i in range(8)),
        *(f"Number {i}?\tAnn\t{i}" for i in range(8)),
    ]
    file = tmp_path / "own.tsv"
    file.write_text("\n".join(lines), encoding="utf-8")
    told = []
    found = answers(str(file), tell=told.append)
    assert "Who?" not in {task.prompt for task in found.train}
    assert "4 near a held-out one left out" in told[-1] or "5 near" in told[-1]


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ("capital", {}, "did you mean capitals"),
        ("nothing.tsv", {}, "data=FILE"),
        ("capitals", {"held_out": 0.9, "development": 0.2}, "shares"),
    ],
)
def test_what_is_refused(data, options, said):
    with pytest.raises(ValueError, match=said):
        read(data, **options)


def test_an_answer_that_is_empty_is_refused(tmp_path):
    file = tmp_path / "own.tsv"
    file.write_text("question\tanswer\nWho?\t|\nWhat?\ta\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no answer"):
        read(str(file))
