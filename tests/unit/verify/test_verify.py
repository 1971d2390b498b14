"""`strop verify`: a planted bug turns a row red, whatever a check raises becomes a row, and what the command prints."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from strop.cli.main import main
from strop.functional import advantages, aggregation
from strop.verify import policy_gradient
from strop.verify.checks import Check, Gap, Result, find, measure

MODULE = "strop.verify.policy_gradient"


def check(function: str, method: str = "RLOO", module: str = MODULE) -> Check:
    return Check(module.rpartition(".")[2], module, function, method, "grad J")


def verdicts(function: str, module: str = MODULE) -> list[str]:
    return [one.verdict for one in measure(check(function, module=module))]


# ------------------------------------------------------------ planted bugs


def test_right_algorithms_pass() -> None:
    assert verdicts("check_rloo") == ["pass", "pass", "pass"]
    assert verdicts("check_sft_gradient", "strop.verify.supervised") == ["pass"]


def test_a_flipped_sign_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strop.algorithms.sft.sft_loss", lambda logprobs_BT, weight_BT: (weight_BT * logprobs_BT).sum())
    assert verdicts("check_sft_gradient", "strop.verify.supervised") == ["FAILED"]


def test_a_baseline_that_holds_its_own_sample_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strop.algorithms.rloo.leave_one_out", advantages.group_mean)
    assert verdicts("check_rloo") == ["FAILED", "FAILED", "FAILED"]


def test_another_mean_over_tokens_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strop.algorithms.grpo.sequence_mean", aggregation.token_mean)
    assert verdicts("check_grpo") == ["FAILED", "FAILED"]


def test_a_clip_on_the_wrong_side_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def minimum(ratio_BT: Any, advantage_BT: Any, low: float, high: float) -> Any:
        return torch.minimum(-ratio_BT * advantage_BT, -ratio_BT.clamp(1 - low, 1 + high) * advantage_BT)

    monkeypatch.setattr("strop.functional.objectives.clipped_loss", minimum)
    assert verdicts("check_rloo_clip", "strop.verify.clipping") == ["FAILED", "FAILED"]


# ------------------------------------------------------------ rows


def test_nan_fails_and_so_does_an_interval_whose_far_end_is_outside() -> None:
    assert Result("m", "x", math.nan, 1.0, 0.0).verdict == "FAILED"
    assert Result("m", "x", 0.5, 1.0, 0.0).verdict == "pass"
    assert Result("m", "x", 0.5, 1.0, 0.0, low=0.0, high=1.5).verdict == "FAILED"
    assert Result("m", "x", 0.5, 1.0, 0.0, low=0.0, high=1.0).verdict == "pass"


def test_what_a_check_raises_is_a_failed_row_after_the_rows_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> Iterator[Gap]:
        yield Gap(0.0, 1.0, "first")
        raise RuntimeError("broken")

    monkeypatch.setattr(policy_gradient, "check_rloo", half)
    first, second = measure(check("check_rloo"))
    assert (first.verdict, first.must_equal, first.error) == ("pass", "grad J: first", "")
    assert (second.verdict, second.method) == ("FAILED", "RLOO")
    assert math.isnan(second.gap)
    assert "RuntimeError: broken" in second.error
    assert "Traceback" in second.error


def test_a_check_that_is_not_there_is_a_failed_row() -> None:
    (row,) = measure(check("check_gone"))
    assert "AttributeError" in row.error


def test_a_learning_run_gets_an_interval_over_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    def learn_it(seed: int) -> Gap:
        seeds.append(seed)
        return Gap(0.1 * seed, 0.35)

    monkeypatch.setattr(policy_gradient, "learn_it", learn_it, raising=False)
    (row,) = measure(check("learn_it"))
    assert seeds == [0, 1, 2, 3, 4]
    assert row.gap == pytest.approx(0.2)
    assert row.low is not None
    assert row.high is not None
    assert 0.0 <= row.low < 0.2 < row.high <= 0.4
    monkeypatch.setattr(policy_gradient, "learn_it", lambda seed: Gap(math.nan if seed == 3 else 0.0, 1.0))
    (row,) = measure(check("learn_it"))
    assert row.verdict == "FAILED"
    assert "nan" in row.error


# ------------------------------------------------------------ which checks there are


def test_every_check_is_found_once_and_says_what_it_must_equal() -> None:
    every = find(full=True)
    assert len({(one.module, one.function) for one in every}) == len(every)
    assert all(one.method and one.must_equal for one in every)
    assert {one.method for one in every} >= {"Q-learning", "REINFORCE", "RLOO", "GRPO", "Dr. GRPO", "SFT", "KL"}
    assert not any(one.is_learning for one in find())
    assert any(one.is_learning for one in every)


def test_every_algorithm_file_has_a_quick_row_and_a_learning_one() -> None:
    from exact.learners import algorithms

    def plain(name: str) -> str:
        return "".join(letter for letter in name.casefold().replace("+", "plus") if letter.isalnum())

    for learning in (False, True):
        known = {plain(one.method) for one in find(full=True) if one.is_learning is learning}
        missing = [kind.__name__ for kind in algorithms() if plain(kind.__name__) not in known]
        assert not missing, f"no {'learn_' if learning else 'check_'} function in strop/verify/ for {missing}"


@pytest.mark.parametrize(
    ("name", "methods"),
    [("rloo", {"RLOO"}), ("GRPO", {"GRPO"}), ("drgrpo", {"Dr. GRPO"}), ("Dr. GRPO", {"Dr. GRPO"}),
     ("clipping", {"RLOO", "GRPO", "Dr. GRPO", "PPO"}), ("q-learn", {"Q-learning"})],
)  # fmt: skip
def test_a_name_is_a_method_or_a_family_and_else_a_part(name: str, methods: set[str]) -> None:
    assert {one.method for one in find(names=[name])} == methods


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean RLOO"):
        find(names=["RLO0"])


# ------------------------------------------------------------ the command


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three checks: one passes, one is off, one raises."""

    def off() -> Gap:
        return Gap(0.5, 0.1)

    def broken() -> Gap:
        raise RuntimeError("broken")

    monkeypatch.setattr(policy_gradient, "check_rloo", off)
    monkeypatch.setattr(policy_gradient, "check_grpo", broken)
    monkeypatch.setattr(policy_gradient, "check_dr_grpo", lambda: Gap(0.0, 0.1))
    some = [check("check_dr_grpo", "Dr. GRPO"), check("check_rloo"), check("check_grpo", "GRPO")]
    monkeypatch.setattr("strop.verify.checks.find", lambda full, names: some[:1] if names else some)


@pytest.mark.usefixtures("three")
def test_json_has_every_number_and_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--json"]) == 1
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert [row["verdict"] for row in rows] == ["pass", "FAILED", "FAILED"]
    assert set(rows[0]) == {
        "method", "must_equal", "gap", "tolerance", "seconds", "low", "high", "error", "verdict"
    }  # fmt: skip
    assert (rows[1]["gap"], rows[1]["tolerance"], rows[1]["error"]) == (0.5, 0.1, "")
    assert rows[2]["gap"] is None
    assert "RuntimeError: broken" in rows[2]["error"]
    assert "[3/3] GRPO: grad J" in err


@pytest.mark.usefixtures("three")
def test_the_table_ends_with_what_was_raised_and_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 1
    out = capsys.readouterr().out
    assert out.count("FAILED") == 2
    assert "RuntimeError: broken" in out
    assert "1 of 3 pass" in out
    assert "Traceback" not in out


@pytest.mark.usefixtures("three")
def test_the_exit_code_is_0_where_all_rows_pass() -> None:
    assert main(["verify", "drgrpo"]) == 0


def test_an_unknown_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "PPPO"]) == 2
    assert "no check is for 'PPPO'" in capsys.readouterr().err


@pytest.mark.learning
@pytest.mark.parametrize("one", find(full=True), ids=lambda one: f"{one.family}-{one.function}")
def test_every_row_passes(one: Check) -> None:
    for row in measure(one):
        assert row.verdict == "pass", f"{row.must_equal}: {row.gap} > {row.tolerance}\n{row.error}"
