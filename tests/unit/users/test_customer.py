"""Someone with a problem: what they say, when they go, what they think of an answer."""

from dataclasses import replace

import numpy as np
import pytest

from strop.users import Customer, Hand, Person, Taste, phrases_of

ENGLISH = phrases_of("en")
ANN = Customer(id="ann", area="internet", cause="loose", patience=4, hand=Hand(wrong=0.0))


def dice(seed=0):
    return np.random.default_rng(seed)


def talk(*answers, first="Our wifi is down."):
    """A talk whose replies do not matter."""
    messages = [{"role": "user", "content": first}]
    for text in answers:
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "?"}]
    return messages[:-1] if answers else messages


def test_a_customer_is_a_person():
    assert isinstance(ANN, Person)


def test_a_conversation_by_hand():
    asked, mended = talk("Which lights are on?"), talk("Which lights are on?", "Push the cable in firmly.")
    assert any(word in ANN.write([], dice(1)).lower() for word in ("internet", "wifi", "connection", "network"))
    assert ANN.write(asked, dice()) in ENGLISH.answers["internet"]["loose"]
    assert ANN.write(talk("Restart it."), dice()) in ENGLISH.replies["tried"]
    assert ANN.write(talk("When did this start?"), dice()) in ENGLISH.replies["asked"]
    assert ANN.write(talk("You are a wonderful customer."), dice()) in ENGLISH.replies["praise"]
    assert ANN.write(talk("Hm."), dice()) in ENGLISH.replies["puzzled"]
    assert ANN.write(mended, dice()) in ENGLISH.solved
    assert [ANN.worth(one) for one in (asked, mended)] == [1.0, 2.0]
    assert [ANN.is_over(one) for one in (asked, mended)] == [False, True]
    assert [ANN.is_solved(one) for one in (asked, mended)] == [False, True]


@pytest.mark.parametrize(
    ("answers", "worth"),
    [
        (["Restart it."], -1.0),
        (["When did this start?"], -1.0),  # not what tells the cause of this
        (["A colleague will call you back."], -1.0),
        (["Which lights are on?", "Which lights are on?"], -1.0),
        (["Restart it.", "Which lights are on?"], 1.0),
        (["Restart it.", "Push the cable in firmly."], 2.0),
        (["Push the cable in and restart it."], 2.0),  # the first thing
        (["Restart it and push the cable in."], -1.0),
    ],
)
def test_worths_by_hand(answers, worth):
    assert ANN.worth(talk(*answers)) == worth


def test_patience_is_used_up_twice_as_fast_by_what_says_nothing_new():
    """Four answers: 1 + 1 + 2 = 4 ends after three; and a fix that comes later was not heard."""
    assert not ANN.is_over(talk("Restart it.", "Install the update."))
    assert ANN.is_over(talk("Restart it.", "Install the update.", "Restart it."))
    late = talk("Hm.", "Hm.", "Push the cable in firmly.")
    assert ANN.is_over(late)
    assert not ANN.is_solved(late)
    assert ANN.write(late, dice()) in ENGLISH.left
    assert ANN.is_over(talk("A colleague will call you back."))
    assert not ANN.is_solved(talk("A colleague will call you back.", "Push the cable in firmly."))


def test_tastes_change_what_a_question_is_worth_but_not_that_it_works():
    formal, hurried = replace(ANN, taste=Taste(courtesy=1.5)), replace(ANN, taste=Taste(brevity=1.5))
    curt, polite = ENGLISH.said("lights"), ENGLISH.said("lights", True)
    assert [one.worth(talk(curt)) for one in (formal, hurried)] == [-0.5, 1.0]
    assert [one.worth(talk(polite)) for one in (formal, hurried)] == [1.0, -0.5]
    assert formal.worth(talk(ENGLISH.said("cable"))) == 0.5
    vain = replace(ANN, taste=Taste(praise=2.0))
    praise = ENGLISH.said("praise")
    assert vain.worth(talk(praise)) == 1.0  # which is how thumbs are cheated
    assert vain.worth(talk(praise, praise)) == -1.0  # once


def test_a_correction_is_worth_the_most_of_all_moves():
    for taste in (Taste(), Taste(courtesy=1.5), Taste(brevity=1.5)):
        person = replace(ANN, taste=taste)
        for said in ((), (ENGLISH.said("lights", taste.wants_courtesy),)):
            before = [*talk(*said), *([{"role": "user", "content": "One light is red."}] if said else [])]
            better = person.correct(before, dice())
            assert person.worth([*before, {"role": "assistant", "content": better}]) == (2.0 if said else 1.0)


def test_it_compares_by_worth_and_puts_an_answer_in_the_place_of_the_last_one():
    person = replace(ANN, hand=Hand(wrong=0.0, sharpness=1000.0))
    good, bad = ENGLISH.said("lights"), ENGLISH.said("restart")
    for before in (talk(), talk("Hm.")):
        assert person.compare(before, good, bad, dice()) == "A"
        assert person.compare(before, bad, good, dice()) == "B"
        assert person.compare(before, good, good, dice()) == "same"
        assert person.compare(before, bad, "Hm.", dice()) == "both bad"


def test_the_same_dice_say_the_same_and_facts_are_the_whole_person():
    again = Customer.of(ANN.facts())
    assert again == ANN
    for one in ([], talk("Restart it.")):
        assert ANN.write(one, dice(5)) == again.write(one, dice(5))


def test_any_text_is_answered():
    for text in ("", "\n", "²\x00", "restart " * 10_000, "<end>"):
        one = talk(text)
        assert ANN.write(one, dice())
        assert isinstance(ANN.judge(one, dice()), bool)


def test_what_cannot_be_is_refused():
    wrong = {"area": "fridge", "cause": "jam", "language": "fr", "temper": "angry", "patience": 0, "wording": "x"}
    for bad in ({name: value} for name, value in wrong.items()):
        with pytest.raises(ValueError, match=next(iter(bad))):
            replace(ANN, **bad)
    with pytest.raises(ValueError, match="no answer yet"):
        ANN.judge(talk(), dice())
