"""What a sweep is made of, and the interval over its seeds."""

import math

import pytest

from strop.runs import sweep as sweeps
from strop.runs.seeds import Result, combinations, seed_mean
from strop.runs.standing import Standing


def names(*overrides):
    return [member.name for member in sweeps.new("r", "", sweeps.given(overrides)).members()]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0..4", ("0", "1", "2", "3", "4")),
        ("-1..1", ("-1", "0", "1")),
        ("3..3", ("3",)),
        ("0..2,7", ("0", "1", "2", "7")),
        ("1e-3,3e-4", ("1e-3", "3e-4")),
        ("[32,32],[64]", ("[32,32]", "[64]")),
        ('["a","b"],["c,d"]', ('["a","b"]', '["c,d"]')),
        ("\"a, b\",'c, d'", ("a, b", "c, d")),
        ("don't", ("don't",)),
        ("a=b,c", ("a=b", "c")),
        ("../x..y/0..2", ("../x..y/0..2",)),
        ("", ("",)),
    ],
)
def test_a_field_is_split_into_its_values(text, values):
    assert sweeps.given([f"field={text}"]) == {"field": values}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0..100000"], "100,001 values; a sweep has at most 256 runs"),
        (["seed=0..20", "steps=1..20"], "21 x 20 values make 420 runs"),
        (["seed=4..0"], "a range goes up, 0..4"),
        (["lr=1,,2"], "an empty value between two commas"),
        (["seed=0..3,2"], "2 is there twice"),
        (["seed=0", "seed=1"], "seed is given twice"),
        (["seed=0"], "a sweep gives a field several values"),
        ([], "a sweep gives a field several values"),
    ],
)
def test_what_is_no_sweep_is_refused_in_words(words, message):
    with pytest.raises(ValueError, match=message):
        names(*words)


def test_runs_are_named_after_what_varies():
    assert names("seed=0,1", "steps=9") == ["seed-0", "seed-1"]
    assert names("algorithm.optimizer.lr=0.1,0.01", "seed=0,1") == [
        "lr-0.1_seed-0",
        "lr-0.1_seed-1",
        "lr-0.01_seed-0",
        "lr-0.01_seed-1",
    ]
    assert names("algorithm.kl.weight=0,1", "rewards.weight=2,3")[0] == "kl.weight-0_rewards.weight-2"
    assert names("policy.hidden=[32,32],[64]") == ["hidden-32-32", "hidden-64"]
    assert names("n=-1,1") == ["n--1", "n-1"]


def test_names_are_safe_and_differ():
    odd = ["/etc/x,..", "a/b,a:b", "é 你,*?", "x" * 300 + "," + "x" * 301]
    for text in odd:
        found = names(f"data={text}")
        assert len(set(found)) == 2
        assert all(name.startswith("data-") and "/" not in name and len(name) < 60 for name in found)


def test_a_sweep_takes_more_values_and_keeps_the_order_of_those_it_has():
    stands = sweeps.new("r", "", sweeps.given(["lr=1,2", "seed=0..1", "steps=5"]))
    grown = stands.extended(sweeps.given(["steps=5", "lr=3", "seed=1..2"]))
    assert grown.swept == {"lr": ("1", "2", "3"), "seed": ("0", "1", "2")}
    assert grown.fixed == {"steps": "5"}
    assert {one.name for one in stands.members()} < {one.name for one in grown.members()}
    for other in (["lr=1,2", "seed=0..1", "steps=6"], ["lr=1,2", "seed=0..1"], ["lr=1,2", "steps=5"]):
        with pytest.raises(ValueError, match="anything else is another sweep"):
            stands.extended(sweeps.given(other))


def test_a_sweep_is_read_as_it_was_written(tmp_path):
    sweep = sweeps.new("r.py", "abc", sweeps.given(["seed=0..2", "steps=5"]))
    sweeps.write(sweep, tmp_path / "runs" / "s")
    assert sweeps.read(tmp_path / "runs" / "s") == sweep
    (tmp_path / "runs/s/sweep.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"sweep\.json cannot be read"):
        sweeps.read(tmp_path / "runs" / "s")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is no sweep; it is left as it is"):
        sweeps.write(sweep, tmp_path / "other")


def test_the_mean_over_seeds_has_the_textbook_interval():
    one = seed_mean([1.0, 2.0, 6.0])  # mean 3, variance (4 + 1 + 9) / 2 = 7, t 4.30265
    assert one.mean == 3.0
    assert one.high - one.mean == pytest.approx(4.30265 * math.sqrt(7 / 3), abs=1e-4)
    assert one.mean - one.low == pytest.approx(one.high - one.mean)
    for values in ([0.3], [0.1 + 0.2, 0.3, 0.3], [math.nan, 1.0]):
        assert math.isnan(seed_mean(values).low)


def stood(before, after, **changed):
    usual = {"status": "finished", "algorithm": "GRPO", "done": 9, "steps": 9, "judged": (0, 9), "seconds": 60.0}
    return Standing(**{**usual, "scores": {"reward": (before, after)}, "error": "", **changed})


def test_finished_runs_that_differ_in_their_seed_are_one_combination():
    runs = [
        Result("lr-1_seed-0", "", {"lr": "1", "seed": "0"}, stood(0.1, 0.5)),
        Result("lr-1_seed-1", "", {"lr": "1", "seed": "1"}, stood(0.3, 0.9, seconds=120.0)),
        Result("lr-1_seed-2", "", {"lr": "1", "seed": "2"}, stood(0.0, 9.0, status="interrupted", done=5)),
        Result(
            "lr-1_seed-3", "", {"lr": "1", "seed": "3"}, stood(0.0, 9.0, judged=(0,))
        ),  # killed before it was judged
        Result("lr-2_seed-0", "", {"lr": "2", "seed": "0"}, stood(0.2, 0.1)),
        Result("lr-2_seed-1", "", {"lr": "2", "seed": "1"}, None),
        Result("lr-3_seed-0", "", {"lr": "3", "seed": "0"}, None, error="failed"),
    ]
    one, two = combinations(runs)
    assert (one.values, one.runs, one.seconds) == ({"lr": "1"}, 2, 90.0)
    gain = one.scores["reward"]
    assert [gain.before.mean, gain.after.mean, gain.difference.mean] == pytest.approx([0.2, 0.7, 0.5])
    # differences 0.4 and 0.6: sd 0.1 sqrt 2, over sqrt 2, times t of one degree of freedom
    assert gain.difference.high - gain.difference.mean == pytest.approx(12.7062 * 0.1, abs=1e-4)
    assert (two.values, two.runs, two.scores["reward"].difference.mean) == ({"lr": "2"}, 1, pytest.approx(-0.1))
