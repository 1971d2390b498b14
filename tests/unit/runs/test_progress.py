"""Progress: plain lines in a file, a live line in a terminal, no colours under NO_COLOR."""

import io
import math
from types import SimpleNamespace

from rich.console import Console

from strop.rollout.engine import OfflineEngine
from strop.runs.budget import Budget
from strop.runs.progress import Progress, facts

METRICS = {"reward/mean": 0.5, "policy/kl": 0.01, "policy/entropy": 1.25, "time/tokens_per_second": 210.4}


def shown(terminal: bool, every_seconds: float = 0.0, environment: dict | None = None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=160, _environ=environment or {"TERM": "xterm"})
    progress = Progress(console, every_seconds)
    progress.judging(0)
    progress.judged(0, {"held_out/reward": 0.25})
    progress.start(0, 3)
    for step in range(3):
        progress.step(step, METRICS)
    progress.note("a [reward] said [/] this")
    progress.close()
    return stream.getvalue()


def test_a_file_gets_plain_lines():
    lines = shown(terminal=False).splitlines()
    assert lines[0] == "judging held-out prompts after 0 steps ..."
    assert lines[1] == "held-out after 0 steps: reward 0.250"
    facts = "reward 0.500 · held-out 0.250 · kl 0.0100 · entropy 1.25 · 210 tokens/s"
    assert lines[2].startswith(f"step 1/3 · {facts} · 0:00")
    assert lines[-1] == "a [reward] said [/] this"


def test_the_live_line_says_what_the_engine_is_doing():
    class Playing(OfflineEngine):
        def status(self) -> str:
            return "2 of 2 replicas, 3 under way"

    stream = io.StringIO()
    progress = Progress(Console(file=stream, force_terminal=True, width=160, _environ={"TERM": "xterm"}))
    progress.start(0, 3, engine=Playing())
    progress.step(0, METRICS)
    progress.close()
    assert "training (0 s) · 2 of 2 replicas, 3 under way" in stream.getvalue()


def test_lines_are_rate_limited_but_the_last_is_shown():
    steps = [line for line in shown(terminal=False, every_seconds=60).splitlines() if line.startswith("step")]
    assert [line.split()[1] for line in steps] == ["1/3", "3/3"]


def test_a_terminal_gets_one_live_line_and_no_color_is_respected():
    assert "\x1b[" in shown(terminal=True)
    plain = shown(terminal=True, environment={"TERM": "xterm", "NO_COLOR": "1"})
    assert "3/3" in plain
    assert "\x1b[3" not in plain.replace("\x1b[3J", "")


def quiet_lines(*calls):
    """What a file gets of these calls on a Progress."""
    stream = io.StringIO()
    progress = Progress(Console(file=stream, width=160), 0.0)
    for call in calls:
        call(progress)
    progress.close()
    return stream.getvalue().splitlines()


def test_a_repeated_warning_is_printed_once_and_counted():
    def flat(number):
        return lambda progress: progress.warn(f"{number} of 4 groups give no signal (all the same). Do this.")

    lines = quiet_lines(flat(3), flat(2), lambda progress: progress.warn("All 2 were cut. Do that."), flat(4))
    assert lines == [
        "warning: 3 of 4 groups give no signal (all the same). Do this.",
        "warning: All 2 were cut. Do that.",
        "warning, again at 2 more steps: 4 of 4 groups give no signal",
    ]


def test_a_run_without_rewards_shows_its_loss():
    assert facts({"optimizer/loss": 0.25, "preference/accuracy": 0.5}) == "loss 0.250 · accuracy 0.50"
    assert facts({"optimizer/loss": 0.25, "reward/mean": 0.5}) == "reward 0.500"
    assert facts({"optimizer/loss": 0.25, "reward/mean": 0.0}) == "reward 0.000 · loss 0.250"  # distillation
    assert facts({"optimizer/loss": 0.25, "reward/mean": 0.0, "reward/words": 0.0}) == "reward 0.000"
    assert facts({"held_out/reward": math.nan, "policy/kl": -1e-9}) == "kl 0.0000"


def test_unscored_episodes_are_shown_only_if_there_are_any():
    none = {"held_out/reward": 0.5, "held_out/unscored": 0.0}
    some = {"held_out/reward": math.nan, "held_out/unscored": 1.0}
    (said,) = quiet_lines(lambda progress: progress.judged(1, none))
    assert said == "held-out after 1 step: reward 0.500"
    (said,) = quiet_lines(lambda progress: progress.judged(2, some))
    assert said == "held-out after 2 steps: unscored 1.000"


def test_the_live_line_shows_the_last_held_out_evaluation():
    text = shown(terminal=True)
    assert "held-out 0.250" in text
    stream = io.StringIO()
    progress = Progress(Console(file=stream, force_terminal=True, width=160, _environ={"TERM": "xterm"}))
    progress.start(0, 1)
    progress.step(0, METRICS)
    progress.judged(1, {"held_out/reward": 0.75})
    progress.close()
    assert "reward 0.500 · held-out 0.750" in stream.getvalue()


def test_after_its_end_it_forgets_what_a_run_scored():
    stream = io.StringIO()
    progress = Progress(Console(file=stream, width=160), 0.0)
    progress.judged(0, {"held_out/reward": 0.25})
    progress.close()
    progress.start(0, 1)
    progress.step(0, METRICS)
    assert "step 1/1 · reward 0.500 · kl 0.0100" in stream.getvalue()


def test_a_narrow_terminal_splits_no_word():
    stream = io.StringIO()
    progress = Progress(Console(file=stream, force_terminal=True, width=40, _environ={"TERM": "dumb"}))
    progress.start(0, 2)
    progress.step(0, METRICS)
    progress.note("The sampler and the trainer disagree about runs/some-run/checkpoints/000040.")
    progress.close()
    assert "runs/some-run/checkpoints/000040." in stream.getvalue()
    assert "tokens/s" in stream.getvalue()


def test_a_terminal_counts_the_seconds_of_the_current_activity():
    assert "judging held-out prompts after 0 steps (0 s)" in shown(terminal=True)
    assert "step 1/3" in shown(terminal=True)


def test_steps_or_minutes_whichever_ends_first_say_how_much_is_left(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("strop.runs.progress.time", SimpleNamespace(monotonic=lambda: clock.now))

    def start(total):
        def call(progress):
            clock.now = 0.0
            progress.start(0, total, Budget(10.0))

        return call

    def step(number, now, seconds):
        def call(progress):
            clock.now = now
            progress.step(number, {**METRICS, "time/step_seconds": seconds})

        return call

    # 60 seconds for 30 of training, then 20 a step: 19 and 9 times as much time is left, and 99 and 4 steps
    many = quiet_lines(start(100), step(0, 60.0, 30.0))
    few = quiet_lines(start(6), step(0, 60.0, 30.0), step(1, 80.0, 30.0))
    assert many[0].endswith("0:19:00 left")
    assert few[1].endswith("0:02:40 left")


def test_the_line_of_the_step_that_ends_the_time_is_shown_and_the_bar_is_full():
    stream = io.StringIO()
    progress = Progress(Console(file=stream, width=160), 60.0)
    progress.start(0, 100, Budget(1.0))
    for done in range(1, 5):
        progress.step(done - 1, {**METRICS, "time/step_seconds": 15.0})
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["1/100", "4/100"]
    assert "━" * 20 in progress._draw().plain
