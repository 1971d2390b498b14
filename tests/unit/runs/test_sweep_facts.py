"""Sweeps: their fields, values, run names and file."""

import pytest

from strop.runs import sweep as sweeps


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
def test_invalid_sweeps_are_refused(words, message):
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
