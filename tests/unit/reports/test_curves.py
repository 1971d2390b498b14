"""What stands in a picture of runs: lines, bands, error bars and words. Not where its pixels are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from strop.evaluate import interval
from strop.reports.curves import _shared_labels, draw, picture
from strop.reports.stages import begun_stages
from strop.runs.directory import RunDirectory, config_text
from strop.runs.staged import stages_text
from strop.types import End, Episode, Part, Task

REWARDS = [0.0, 0.0, 1.0, 1.0]


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """A run of this name, with the metrics of each training step and the rewards of each judgement's prompts."""

    def make(
        name: str,
        history: Sequence[Mapping[str, float]],
        judged: Mapping[int, Sequence[float]] | None = None,
        gold: float | None = None,
        **config: Any,
    ) -> RunDirectory:
        weights = {} if gold is None else {"true": [{"name": "x"}, 1.0]}
        spec = {"algorithm": {"class": "strop.algorithms.GRPO.Config"}, "gold": {"map": weights}, "seed": 0}
        home = RunDirectory.create(tmp_path / name, spec | config, {})
        with home.writer() as store:
            for step, metrics in enumerate(history):
                store.write_step(step, [], metrics, {})
            for step, rewards in (judged or {}).items():
                store.write_evaluation(
                    step, [played(i, one, gold) for i, one in enumerate(rewards)], means(rewards, gold)
                )
        return home

    return make


def played(number: int, reward: float, gold: float | None) -> Episode:
    parts = {"r": Part(1.0, reward)} | ({} if gold is None else {"gold/true": Part(0.0, gold)})
    return Episode(str(number), Task(str(number), "x"), number, (), (), End.TERMINATED, parts=parts)


def means(rewards: Sequence[float], gold: float | None) -> dict[str, float]:
    found = {"held_out/reward": float(np.mean(rewards)), "held_out/tokens": 0.0}
    return found | ({} if gold is None else {"held_out/gold": gold})


def rewarded(*rewards: float) -> list[dict[str, float]]:
    return [{"reward/mean": reward} for reward in rewards]


def panel(figure: Figure, title: str) -> Axes:
    return next(axis for axis in figure.axes if axis.get_title() == title)


def error_bars(axis: Axes) -> list[list[tuple[float, float, float]]]:
    """(step, low, high) of every bar, line by line."""
    lines = [one.lines[2][0].get_segments() for one in axis.containers if isinstance(one, ErrorbarContainer)]
    return [[(bar[0][0], bar[0][1], bar[1][1]) for bar in bars if len(bar)] for bars in lines]


def bands(axis: Axes) -> list[np.ndarray]:
    return [one.get_paths()[0].vertices for one in axis.collections if isinstance(one, FillBetweenPolyCollection)]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_judged_means_carry_the_intervals_of_their_prompts(made: Any) -> None:
    figure = picture([made("one", rewarded(0.2, 0.4), {0: REWARDS, 2: [1.0] * 4})])
    axis = panel(figure, "reward")
    (bars,) = error_bars(axis)
    expected = [(0, interval(REWARDS)), (2, interval([1.0] * 4))]
    assert bars == [pytest.approx((step, found.low, found.high)) for step, found in expected]
    assert axis.lines[0].get_xydata().tolist() == [
        [0, 0.2],
        [1, 0.4],
    ]  # step k and the judgement after k steps: one place
    assert words(figure) == ["training", "held out with 95 % intervals over prompts"]


def test_a_judgement_of_equal_scores_is_read_beside_the_others(made: Any) -> None:
    signs = [-1.0] * 4 + [1.0] * 4
    (bars,) = error_bars(panel(picture([made("one", rewarded(0.2), {0: signs, 1: [1.0] * 8})]), "reward"))
    found = interval([1.0] * 8, signs)
    assert found.low < interval([1.0] * 8).low  # of -1 and 1, not of 0 and 1
    assert bars[1] == pytest.approx((1, found.low, found.high))


def test_a_picture_has_a_title_and_its_legend_is_below_all_panels(made: Any, tmp_path: Path) -> None:
    figure = picture([made("first", rewarded(0.2, 0.4)), made("second", rewarded(0.3), steps=1)])
    assert figure.get_suptitle() == "2 runs: GRPO"
    assert words(figure) == ["first", "second", "training"]
    figure.savefig(tmp_path / "laid-out.png")
    below = figure.legends[0].get_window_extent().y1
    assert all(axis.get_tightbbox().y0 > below for axis in figure.axes)
    assert all(axis.get_legend() is None for axis in figure.axes)


def test_seeds_are_a_mean_and_a_band(made: Any) -> None:
    figure = picture(
        [
            made(f"copy-{seed}", rewarded(0.1 * seed, 0.2 * seed), {2: [0.1 * seed] * 3}, seed=seed)
            for seed in range(3)
        ]
    )  # fmt: skip
    axis = panel(figure, "reward")
    assert axis.lines[0].get_ydata() == pytest.approx([0.1, 0.2])
    (band,) = bands(axis)
    assert {tuple(one) for one in band.round(9)} >= {(0.0, 0.0), (0.0, 0.2), (1.0, 0.0), (1.0, 0.4)}
    assert error_bars(axis) == [[pytest.approx((2, 0.0, 0.2))]]
    assert figure.get_suptitle() == "copy, 3 seeds: GRPO"
    assert words(figure) == ["training", "held out", "seeds: their mean, from the lowest to the highest"]


def test_runs_that_differ_in_more_than_their_seed_are_lines_of_their_own(made: Any) -> None:
    runs = [made("a", rewarded(0.1)), made("b", rewarded(0.2), seed=1, steps=9), made("again", rewarded(0.3))]
    figure = picture(runs)
    assert words(figure) == ["a", "b", "again", "training"]  # "again" has the config and the seed of "a"
    assert not bands(panel(figure, "reward"))


def test_a_seed_that_goes_on_alone_is_drawn_on_its_own(made: Any) -> None:
    long, short = made("u/seed-0", rewarded(0.1, 0.2, 0.3)), made("u/seed-1", rewarded(0.3, 0.4), seed=1)
    figure = picture([long, short])
    drawn = [line.get_xydata().tolist() for line in panel(figure, "reward").lines]
    assert drawn[0] == [[0, pytest.approx(0.2)], [1, pytest.approx(0.3)]]
    assert [[1, 0.2], [2, 0.3]] in drawn
    assert figure.get_suptitle() == "u, 2 seeds: GRPO"
    assert words(figure)[-1] == "a seed alone, where another has ended"


def test_gold_has_the_scale_of_a_reward_that_is_a_share_too(made: Any) -> None:
    shares = picture([made("shares", rewarded(0.2, 0.9), {0: REWARDS, 2: REWARDS}, gold=0.5)])
    assert panel(shares, "gold (never trained on)").get_ylim() == panel(shares, "reward").get_ylim()
    points = picture([made("points", rewarded(2.0, 9.0), {0: REWARDS, 2: REWARDS}, gold=0.5)])
    assert panel(points, "gold (never trained on)").get_ylim() != panel(points, "reward").get_ylim()


def test_every_panel_has_the_same_steps(made: Any) -> None:
    figure = picture([made("one", [{"reward/mean": 0.5, "policy/kl": 0.1}] * 3, {0: REWARDS, 3: REWARDS})])
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    assert {axis.get_xlabel() for axis in figure.axes} == {"steps done"}


def test_a_single_step_and_one_between_gaps_are_seen(made: Any) -> None:
    for rewards in ([0.5], [0.1, math.nan, 0.5, math.nan]):
        axis = panel(picture([made(f"run-{len(rewards)}", rewarded(*rewards))]), "reward")
        dots = axis.lines[1]
        assert dots.get_marker() == "."
        assert 0.5 in dots.get_ydata()


def test_training_without_a_reward_shows_its_loss(made: Any) -> None:
    loss = [{"optimizer/loss": 1.0, "policy/nll": 2.0}, {"optimizer/loss": 0.5, "policy/nll": 1.0}]
    alone = picture([made("sft", loss)])
    assert [axis.get_title() for axis in alone.axes] == ["loss", "negative log-likelihood, nats a token"]
    beside = picture([made("again", loss), made("rl", [{"reward/mean": 0.5, "optimizer/loss": 9.0}])])
    drawn = [line for line in panel(beside, "loss").lines if len(line.get_ydata())]
    assert not any(9.0 in line.get_ydata() for line in drawn)


def test_pairs_that_are_compared_have_intervals_too(made: Any, tmp_path: Path) -> None:
    run = made("dpo", [{"preference/accuracy": 0.5}])
    pair = {"id": "1", "prompt": "x", "answer": "", "data": {"chosen": "a", "rejected": "b"}}
    (run.path / "held_out.jsonl").write_text("".join(json.dumps(pair) + "\n" for _ in range(8)))
    with run.writer() as store:
        store.write_evaluation(1, [], {"held_out/accuracy": 0.75})
    found = interval([1.0] * 6 + [0.0] * 2)
    assert error_bars(panel(picture([run]), "pairs preferred as people do")) == [
        [pytest.approx((1, found.low, found.high))]
    ]


def test_a_run_of_stable_baselines3_is_drawn_without_intervals(made: Any) -> None:
    run = made("sac", [{"reward/mean": 5.0, "train/critic_loss": 1.0}], algorithm="SAC")
    (run.path / "config.json").write_text(config_text({"class": "strop.control.ControlConfig", "algorithm": "SAC"}))
    with run.writer() as store:
        store.write_evaluation(1, [], {"held_out/reward": 7.0})
    figure = picture([run])
    assert figure.get_suptitle() == "sac: SAC"
    assert error_bars(panel(figure, "reward")) == [[]]


def test_long_names_are_shortened_and_equal_ones_told_apart(made: Any) -> None:
    runs = [made(f"{folder}/{'name-' * 20}{folder}", rewarded(0.5), steps=n) for n, folder in enumerate("ab")]
    assert all(len(label) < 60 for label in words(picture(runs)))
    twins = [made(f"{folder}/twin", rewarded(0.5), steps=n) for n, folder in enumerate("ab")]
    assert words(picture(twins))[:2] == ["a/twin", "b/twin"]


def test_combinations_of_a_sweep_are_named_by_what_varies(made: Any) -> None:
    runs = [made(f"s/seed-{seed}_lr-{lr}", rewarded(0.5), seed=seed, lr=lr) for lr in (1, 2) for seed in (0, 1)]
    assert words(picture(runs))[:2] == ["lr-1, 2 seeds", "lr-2, 2 seeds"]


def test_stages_stand_one_after_the_other(made: Any) -> None:
    names = {"mine/1-sft": 3, "mine/2-rl": 2, "mine/3-more": 1}
    runs = {name: made(name, rewarded(*[0.5] * n), {n: REWARDS}, steps=n) for name, n in names.items()}
    home = runs["mine/1-sft"].path.parent
    (home / "stages.json").write_text(stages_text(["sft", "rl", "more", "last"]))
    begun = begun_stages(home)
    assert [(run.path.name, start) for run, start in begun] == [("1-sft", 0), ("2-rl", 3), ("3-more", 5)]
    figure = picture([run for run, _ in begun], {run.path: start for run, start in begun})
    assert figure.get_suptitle() == "mine: GRPO"
    assert words(figure)[:3] == ["1-sft", "2-rl", "3-more"]
    axis = panel(figure, "reward")
    trained = [line.get_xdata().tolist() for line in axis.lines if line.get_alpha() == 0.75]
    assert [steps for steps in trained if steps][::2] == [[0, 1, 2], [3, 4], [5]]
    assert [round(bars[0][0]) for bars in error_bars(axis)] == [3, 5, 6]
    marks = [(text.get_position()[0], text.get_text()) for text in axis.texts]
    assert marks == [(0, " sft"), (3, " rl"), (5, " more")]
    alone = picture([runs["mine/2-rl"]])
    assert not panel(alone, "reward").texts


def test_nothing_to_draw_and_no_such_format_are_said(made: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw yet"):
        draw([made("empty", [])], tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"ends in \.png, \.svg or \.pdf"):
        draw([made("one", rewarded(0.5))], tmp_path / "x.bmp")
    assert draw([made("two", rewarded(0.5))], tmp_path / "new" / "x.svg").is_file()


def test_lines_that_are_close_share_a_label() -> None:
    means = {"optimum": 12.4, "shortest queue": 9.7, "random": 6.6, "soonest done": 9.8}
    assert _shared_labels(means, 0.3) == [("random", 6.6), ("shortest queue, soonest done", 9.8), ("optimum", 12.4)]
    assert [mean for _, mean in _shared_labels(means, 0.05)] == [6.6, 9.7, 9.8, 12.4]
