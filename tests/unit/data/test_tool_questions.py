"""Questions for tools: right answers, and splits that share no name, no wording and no number."""

import re

import pytest

from strop.data.passages import SPLITS
from strop.data.tools import KINDS, tools

FEW = {split: tools(split, 120) for split in SPLITS}


def question(task):
    return task.prompt[-1]["content"]


def numbers(task):
    return [int(one) for one in re.findall(r"\d+", question(task))]


def worked_out(task):
    """The answer from the words alone: the numbers that are asked with, and the row of the land that is named."""
    found = numbers(task)
    facts = next((row for land, row in task.data["facts"].items() if land in question(task)), {})
    match task.data["kind"]:
        case "product":
            return found[0] * found[1]
        case "brackets":
            return found[0] * found[2] + found[1] * found[2]
        case "quotient":
            assert max(found) % min(found) == 0
            return max(found) // min(found)
        case "population":
            return int(facts["population"])
        case "left":
            return int(facts["population"]) - found[0]
        case "cost":
            return found[0] * next(int(value) for fact, value in facts.items() if fact.startswith("price"))


@pytest.mark.parametrize("split", SPLITS)
def test_the_answer_follows_from_the_question_and_the_table(split):
    assert [task.answer for task in FEW[split]] == [str(worked_out(task)) for task in FEW[split]]
    assert {task.data["kind"] for task in FEW[split]} == set(KINDS)
    assert {len(task.data["calls"]) for task in FEW[split]} == {1, 2}


def bare(task):
    """The wording: without names and numbers."""
    lands = "|".join(task.data["facts"])
    goods = "|".join(fact.partition("price of ")[2] or "-" for fact in next(iter(task.data["facts"].values())))
    return re.sub(rf"{lands}|\b(?:{goods})\b|\d+", "_", question(task))


@pytest.mark.parametrize("of", [bare, lambda task: "".join(task.data["facts"])])
def test_no_wording_and_no_land_is_in_two_splits(of):
    train, development, held_out = ({of(task) for task in FEW[split]} for split in SPLITS)
    assert not train & development | train & held_out | development & held_out


def test_no_land_is_in_two_splits():
    train, development, held_out = ({land for task in FEW[split] for land in task.data["facts"]} for split in SPLITS)
    assert not train & development | train & held_out | development & held_out


def test_the_number_that_is_asked_with_belongs_to_one_split():
    remainders = {
        split: {numbers(task)[0] % 7 for task in FEW[split] if task.data["kind"] in ("product", "brackets", "cost")}
        for split in SPLITS
    }
    assert remainders == {"train": {0, 1, 2, 3, 4}, "development": {5}, "held_out": {6}}


def test_a_task_depends_on_its_place_alone():
    assert tools("train", 3) == FEW["train"][:3]
    assert tools("train", 3, seed=1) != FEW["train"][:3]
    with pytest.raises(ValueError, match="train, development, held_out"):
        tools("test", 1)


def test_what_the_prompt_tells():
    told, template, facts = (tools("train", 1, told=how)[0] for how in ("system", "template", "facts"))
    assert len({question(task) for task in (told, template, facts)}) == 1
    system = told.prompt[0]["content"]
    assert '"name": "calculator"' in system
    assert "<tool_call>" in system
    assert template.prompt[0]["content"] == "Answer with a number alone."
    table = [value for row in facts.data["facts"].values() for value in row.values()]
    assert len(table) == 9
    assert all(value in facts.prompt[0]["content"] for value in table)
    assert not any(value in system for value in table)
