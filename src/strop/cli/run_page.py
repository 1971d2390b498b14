"""A run in the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.cli.errors import Problem
from strop.cli.output import console, number, pairs, print_json, print_rich, sparkline, table
from strop.cli.show_verdicts import shortened, verdicts
from strop.plan import describe
from strop.runs.directory import RunDirectory
from strop.runs.records import Event, Summary
from strop.runs.standing import standing
from strop.spec import decode, is_control
from strop.types import Prompt, Unscored
from strop.verdicts import Verdict, verdicts_of

CURVES = (
    "reward/mean",
    "held_out/reward",
    "held_out/gold",
    "preference/accuracy",
    "held_out/accuracy",
    "held_out/logit",
    "policy/kl",
    "policy/entropy",
    "rollout/length",
    "signal/groups",
    "time/tokens_per_second",
)
MOST_EVENTS, MOST_ROWS = 8, 24


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to show of a run."""

    run: str
    status: str
    done: int
    steps: int
    checkpoints: list[int]
    config: dict[str, str]
    last: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    verdicts: list[Verdict]
    events: list[Event]
    best: Summary | None
    worst: Summary | None
    table: dict[str, dict[str, float]]


def page(directory: RunDirectory, as_json: bool) -> None:
    """Everything on one page."""
    found = read(directory)
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(f"{found.run}: {found.status}, {found.done} of {found.steps} steps\n", style="bold")
    print_rich(pairs([*found.config.items(), ("checkpoints", _checkpoints(directory, found))]))
    if found.curves:
        out.print()
        print_rich(_curves(found.curves, out.width))
    if found.verdicts:
        out.print()
        verdicts(found.verdicts)
    if found.table:
        out.print(f"\nthe learnt table ({len(found.table)} contexts)", style="bold")
        print_rich(_table(found.table))
    if found.events:
        hidden = len(found.events) - MOST_EVENTS
        out.print("\nevents" + (f" (the last {MOST_EVENTS}; {hidden} more)" if hidden > 0 else ""), style="bold")
        print_rich(table(["step", "kind", ""], [_event(event) for event in found.events[-MOST_EVENTS:]], right=(0,)))
    for name, one in (("best", found.best), ("worst", found.worst)):
        if one is not None:
            out.print(f"\n{name} episode of step {one.step}", style="bold")
            print_rich(_episode(one))


def episodes(directory: RunDirectory, step: int, as_json: bool) -> None:
    """Every training episode of a step (from 0)."""
    with directory.reader() as store:
        found, latest = store.summaries("train", step), store.latest_step()
    if not found:
        there = "none is finished" if latest is None else f"there are 0 to {latest}"
        raise Problem(f"{directory.path} has no episodes of step {step}: {there}.")
    if as_json:
        print_json(found)
        return
    for one in found:
        console().print(f"\n{one.id}, group {one.group}, {one.end}", style="bold")
        print_rich(_episode(one))


def read(directory: RunDirectory) -> Page:
    """The page's facts, from the run's files."""
    config = directory.config()
    with directory.reader() as store:
        latest, events, metrics = store.latest_step(), store.events(), store.metrics()
        curves = {name: store.series(name) for name in CURVES}
        scored = (
            [one for one in store.summaries("train", latest) if one.reward is not None] if latest is not None else []
        )
    done = 0 if latest is None else latest + 1
    trained = [one for one in metrics if "time/step_seconds" in one]
    return Page(
        run=str(directory.path),
        status=standing(directory).status,
        done=done,
        steps=config["steps"],
        checkpoints=directory.checkpoints.steps(),
        config=_config(directory.path, config),
        last=trained[-1] if trained else {},
        curves={name: points for name, points in curves.items() if points},
        verdicts=verdicts_of(directory),
        events=events,
        best=max(scored, key=_return, default=None),
        worst=min(scored, key=_return, default=None),
        table=_learnt(directory, config),
    )


def _config(path: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The config in a few lines."""
    if is_control(config):
        return control_lines(config)
    rewards = ", ".join(f"{name} x {weight:g}" for name, (_, weight) in config["rewards"].get("map", {}).items())
    gold = ", ".join(config["gold"].get("map", {}))
    num = {name: _count_lines(path / f"{name}.jsonl") for name in ("tasks", "held_out")}
    return {
        "policy": describe(config["policy"]),
        "algorithm": describe(config["algorithm"]),
        "environment": describe(config["environment"]),
        "rewards": (rewards or "the environment's own") + (f"; gold: {gold}" if gold else ""),
        "tasks": f"{num['tasks']} to train on, {num['held_out']} held out",
        "a step": f"{config['prompts_per_step']} prompts x {config['group_size']} samples",
        "sampling": describe(config["sampling"]),
        "seed": f"{config['seed']}; {config['dtype']}, {config['threads']} threads",
    }


def control_lines(config: Mapping[str, Any]) -> dict[str, str]:
    """The same of a run of Stable-Baselines3."""
    options = ", ".join(f"{name} {value}" for name, value in decode(config["options"]).items())
    judged = f"every {config['eval_every']} steps" if config["eval_every"] else "at the start and the end"
    return {
        "algorithm": f"{config['algorithm']} of Stable-Baselines3" + (f" ({options})" if options else ""),
        "policy": f"{config['policy']}, noise {config['noise']:g}",
        "environment": str(config["environment"]),
        "a step": f"{config['interactions']} turns of the environment",
        "run": f"{config['steps']} steps, seed {config['seed']}; {config['episodes']} episodes judged {judged}",
    }


def _checkpoints(directory: RunDirectory, found: Page) -> str:
    zips = sorted(file.name for file in directory.checkpoints.path.glob("[0-9]*.zip"))
    if not found.checkpoints:
        return ", ".join(zips) or "none"
    with directory.reader() as store:
        best = store.best_step()
    listed = ", ".join(f"{step} (best)" if step == best else str(step) for step in found.checkpoints)
    resume = f"strop train --resume --run {shlex.quote(found.run)}"
    return listed + (f"; continue: {resume}" if found.done < found.steps and found.status != "running" else "")


def _curves(curves: Mapping[str, Sequence[tuple[int, float]]], width: int) -> Any:
    rows = []
    for name, points in curves.items():
        values = [value for _, value in points]
        rows.append(
            (name, sparkline(values, min(60, max(16, width - 54))), number(values[0]), "->", number(values[-1]))
        )
    return table(["curve", "", "first", "", "last"], rows, right=(2, 4))


def _table(rows: Mapping[str, Mapping[str, float]]) -> Any:
    words = list(next(iter(rows.values())))
    shown = list(rows.items())[:MOST_ROWS]
    body = [(context, *(number(row[word]) for word in words)) for context, row in shown]
    return table(["context", *words], body, right=range(1, len(words) + 1))


def _event(event: Event) -> tuple[str, str, str]:
    lines = event.text.strip().splitlines() or [""]
    return str(event.step), event.level, shortened(lines[-1] if event.level == "error" else lines[0])


def _episode(one: Summary) -> Any:
    return pairs(
        [
            ("prompt", shortened(_asked(one.task.prompt))),
            ("text", shortened(one.text) or "(nothing)"),
            ("reward", number(one.reward) if one.reward is not None else f"unscored: {_last_line(one.reason)}"),
            *((f"  {name}", _total(part.total)) for name, part in one.parts.items()),
        ]
    )


def _learnt(directory: RunDirectory, config: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The numbers of a table policy by context and word; of any other policy nothing, and no torch is loaded."""
    policy = config["policy"]
    if not (isinstance(policy, Mapping) and str(policy.get("class", "")).endswith(":Table.Config")):
        return {}
    if not directory.checkpoints.steps():
        return {}
    _, state = directory.load()
    words = [*policy["words"], *(["<end>"] if policy["has_end"] else [])]
    weight = state["policy"]["weight"]
    return {
        " ".join(words[token] for token in context): dict(zip(words, weight[row].tolist(), strict=True))
        for row, context in enumerate(state["policy"]["contexts"])
    }


def _count_lines(file: Path) -> int:
    return len(file.read_bytes().split(b"\n")) - 1 if file.is_file() else 0


def _asked(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1]["content"] if prompt else ""


def _total(total: float | Unscored) -> str:
    return f"unscored: {_last_line(total.reason)}" if isinstance(total, Unscored) else number(total)


def _return(one: Summary) -> float:
    assert one.reward is not None
    return one.reward


def _last_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[-1] if lines else ""
