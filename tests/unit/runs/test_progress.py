"""What a person sees: plain lines in a file, a live line in a terminal, colours only where wanted."""

import io

from rich.console import Console

from strop.runs.progress import Progress

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


def test_lines_stand_a_few_seconds_apart_but_the_last_is_shown():
    steps = [line for line in shown(terminal=False, every_seconds=60).splitlines() if line.startswith("step")]
    assert [line.split()[1] for line in steps] == ["1/3", "3/3"]


def test_a_terminal_gets_one_live_line_and_no_color_is_respected():
    assert "\x1b[" in shown(terminal=True)
    plain = shown(terminal=True, environment={"TERM": "xterm", "NO_COLOR": "1"})
    assert "3/3" in plain
    assert "\x1b[3" not in plain.replace("\x1b[3J", "")


def test_a_terminal_counts_the_seconds_of_what_is_being_done():
    assert "judging held-out prompts after 0 steps (0 s)" in shown(terminal=True)
    assert "step 1/3" in shown(terminal=True)
