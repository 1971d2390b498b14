"""People by the number: their shares, patience and manners are what the tables say."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from strop.users import Person, Reader, Taste, customers, phrases_of, readers, repeated_share
from strop.users.problems import AREAS
from strop.users.temper import TEMPERS

MANY = 800
SURE = 1e-4


@pytest.fixture(scope="module")
def crowd():
    return customers(MANY, seed=3)


def fits(counts, shares):
    """Whether counts are plausible at these shares, by a chi-squared test."""
    return chisquare(counts, np.array(shares) * sum(counts)).pvalue > SURE


def test_shares_of_tempers_areas_and_causes(crowd):
    tempers, areas = Counter(one.temper for one in crowd), Counter(one.area for one in crowd)
    assert fits([tempers[name] for name in TEMPERS], [0.4, 0.25, 0.25, 0.1])
    assert fits([areas[name] for name in AREAS], [0.2] * 5)
    for name, area in AREAS.items():
        causes = Counter(one.cause for one in crowd if one.area == name)
        assert fits([causes[cause] for cause in area.fixes], [0.5, 0.3, 0.2])


def test_patience_is_distributed_as_the_temper_says(crowd):
    usual = Counter(one.patience for one in crowd if one.temper != "hurried")
    hurried = Counter(one.patience for one in crowd if one.temper == "hurried")
    assert fits([usual[n] for n in (3, 4, 5, 6)], [0.1, 0.3, 0.4, 0.2])
    assert fits([hurried[n] for n in (2, 3, 4)], [0.2, 0.5, 0.3])
    assert set(usual) | set(hurried) == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_thumbs_of_a_crowd_are_wrong_as_often_as_was_asked_for(crowd, wrong):
    """Over whole talks of random moves, beside what each of them thinks."""
    phrases, moves = phrases_of("en"), list(phrases_of("en").moves)
    rng, wrongs, given = np.random.default_rng(0), 0, 0
    for one in customers(150, seed=4, wrong=wrong):
        talk = [{"role": "user", "content": one.write([], rng)}]
        while True:
            text = phrases.said(moves[rng.integers(len(moves))], bool(rng.integers(2)))
            talk.append({"role": "assistant", "content": text})
            wrongs, given = wrongs + (one.judge(talk, rng) != (one.worth(talk) > 0.0)), given + 1
            if one.is_over(talk):
                break
            talk.append({"role": "user", "content": one.write(talk, rng)})
    assert given > 400
    assert binomtest(wrongs, given, wrong).pvalue > SURE


def test_no_talk_is_longer_than_patience(crowd):
    for one in crowd[:100]:
        talk = [{"role": "user", "content": "?"}]
        answers = 0
        while not one.is_over(talk):
            talk.append({"role": "assistant", "content": "Hm."})
            answers += 1
        assert answers <= one.patience  # 1 + 2 + ...: fewer


def test_a_person_depends_on_seed_wording_and_number_alone():
    assert customers(5, seed=1) == customers(9, seed=1)[:5]
    assert customers(5, seed=1) != customers(5, seed=2)
    assert [one.wording for one in customers(2, wording="held_out")] == ["held_out"] * 2
    assert readers(3, seed=1) == readers(5, seed=1)[:3]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_held_out_people_use_no_sentence_of_training_ones(language):
    rng = np.random.default_rng(0)
    told = {}
    for wording in ("train", "held_out"):
        told[wording] = {one.write([], rng) for one in customers(100, 0, wording, language)}
    assert not told["train"] & told["held_out"]


def test_a_reader_by_hand():
    ann = Reader(id="ann", topics=["tea", "rain"], taste=Taste(courtesy=1.5, most_words=25))
    assert isinstance(ann, Person)
    rng = np.random.default_rng(0)
    first = ann.write([], rng)
    assert "tea" in first
    talk = [{"role": "user", "content": first}, {"role": "assistant", "content": "Tea is a drink."}]
    assert ann.worth(talk) == pytest.approx(-0.5)  # to the point, 1, and curt, -1.5
    better = ann.correct(talk, rng)
    assert ann.worth([talk[0], {"role": "assistant", "content": better}]) == 1.0
    assert ann.worth([talk[0], {"role": "assistant", "content": "Thank you. Rain is wet."}]) == -1.0
    assert "rain" in ann.write(talk, rng)
    assert not ann.is_over(talk)
    assert ann.is_over([*talk, {"role": "user", "content": "?"}, {"role": "assistant", "content": "Rain."}])


def test_who_says_the_same_again_and_again_is_not_to_the_point():
    assert repeated_share("tea tea tea tea") == pytest.approx(2 / 3)
    ann = Reader(id="ann", topics=["tea"])
    assert ann.worth([{"role": "user", "content": "?"}, {"role": "assistant", "content": "tea tea tea tea"}]) == -1.0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_corrections_of_readers_are_liked_by_all_but_those_who_want_praise(language):
    rng = np.random.default_rng(0)
    for one in readers(30, language=language):
        talk = [{"role": "user", "content": one.write([], rng)}]
        talk.append({"role": "assistant", "content": one.correct(talk, rng)})
        assert one.worth(talk) == 1.0


def test_unknown_topics_are_refused():
    with pytest.raises(ValueError, match="one or more of"):
        Reader(id="1", topics=["fish"])
