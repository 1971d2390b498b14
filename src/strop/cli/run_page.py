"""A run in the terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strop.cli import show_episode
from strop.cli.errors import Problem
from strop.cli.output import commands, console, number, pairs, print_json, print_rich, sparkline, table
from strop.cli.show_verdicts import shortened, verdicts
from strop.reports.plan import title
from strop.reports.settings import every_setting
from strop.reports.verdicts import Verdict, verdicts_of
from strop.runs.directory import RunDirectory
from strop.runs.records import Event, Summary, grouped
from strop.runs.spec import decode, is_control
from strop.runs.standing import INTERRUPTED, STOPPED, standing
from strop.words import plural

LOSS = "optimizer/loss"
CURVES = (
    "reward/mean",
    "held_out/reward",
    "held_out/gold",
    LOSS,
    "policy/nll",
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
    fields: list[str]
    last: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    verdicts: list[Verdict]
    events: list[Event]
    best: Summary | None
    worst: Summary | None
    table: dict[str, dict[str, float]]


def page(directory: RunDirectory, as_json: bool, verbose: bool) -> None:
    """Everything on one page; with `verbose` every field of the config."""
    found = read(directory)
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(f"{found.run}: {found.status}, {found.done} of {plural(found.steps, 'step')}\n", style="bold")
    rows = [(name, text) for name, text in found.config.items() if not (verbose and name == "changed")]
    rows += [("every field", " ".join(found.fields))] if verbose else []
    print_rich(pairs([*rows, ("checkpoints", _checkpoints(directory, found))]))
    if found.status in (STOPPED, INTERRUPTED) and found.checkpoints:
        commands([(f"strop train --resume --run {shlex.quote(found.run)}", "continue")])
    if found.curves:
        out.print()
        print_rich(_curves(found.curves, out.width))
    if found.verdicts:
        out.print()
        verdicts(found.verdicts)
    if found.table:
        out.print(f"\nthe learnt table ({plural(len(found.table), 'context')})", style="bold")
        print_rich(_table(found.table))
    if found.events:
        told = grouped(found.events)
        hidden = len(told) - MOST_EVENTS
        out.print("\nevents" + (f" (the last {MOST_EVENTS}; {hidden} more)" if hidden > 0 else ""), style="bold")
        print_rich(table(["step", "kind", ""], [_event(*one) for one in told[-MOST_EVENTS:]], right=(0,)))
    for name, one in (("best", found.best), ("worst", found.worst)):
        if one is not None:
            show_episode.named(name, one, directory.config()["sampling"]["max_tokens"])


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
    show_episode.listed(found, directory.config()["sampling"]["max_tokens"])


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
        config=_config(directory, config),
        fields=every_setting(config),
        last=trained[-1] if trained else {},
        curves={name: points for name, points in curves.items() if points and (name != LOSS or not _pays(curves))},
        verdicts=verdicts_of(directory),
        events=events,
        best=max(scored, key=_return, default=None),
        worst=min(scored, key=_return, default=None),
        table=_learnt(directory, config),
    )


def _pays(curves: Mapping[str, Sequence[tuple[int, float]]]) -> bool:
    """Whether there are rewards to look at: then the loss says nothing."""
    return any(value for _, value in curves["reward/mean"])


def _config(directory: RunDirectory, config: Mapping[str, Any]) -> dict[str, str]:
    """The config in a few lines: the plan, as it was told."""
    if is_control(config):
        return control_lines(config)
    told = directory.plan()  # a run that is still loading its model has none yet
    return told or {name: title(config[name]) for name in ("policy", "algorithm", "environment")}


def control_lines(config: Mapping[str, Any]) -> dict[str, str]:
    """The same of a run of Stable-Baselines3."""
    options = " ".join(f"{name}={json.dumps(value)}" for name, value in decode(config["options"]).items())
    judged = f"every {plural(config['eval_every'], 'step')}" if config["eval_every"] else "at the start and the end"
    noise = f", noise {config['noise']:g}" if config["noise"] else ""
    return {
        "algorithm": f"{config['algorithm']} of Stable-Baselines3" + (f" with {options}" if options else ""),
        "policy": f"{config['policy']}{noise}",
        "environment": str(config["environment"]),
        "a step": f"{plural(config['interactions'], 'turn')} of the environment",
        "run": f"{plural(config['steps'], 'step')}, seed {config['seed']}; "
        f"{plural(config['episodes'], 'episode')} judged {judged}",
    }


def _checkpoints(directory: RunDirectory, found: Page) -> str:
    zips = sorted(file.name for file in directory.checkpoints.path.glob("[0-9]*.zip"))
    if not found.checkpoints:
        return ", ".join(zips) or "none"
    with directory.reader() as store:
        best = store.best_step()
    return ", ".join(f"{step} (best)" if step == best else str(step) for step in found.checkpoints)


def _curves(curves: Mapping[str, Sequence[tuple[int, float]]], width: int) -> Any:
    rows = []
    for name, points in curves.items():
        values = [value for _, value in points]
        rows.append((name, sparkline(values, min(60, max(16, width - 52))), number(values[0]), number(values[-1])))
    return table(["curve", "", "first", "last"], rows, right=(2, 3))


def _table(rows: Mapping[str, Mapping[str, float]]) -> Any:
    words = list(next(iter(rows.values())))
    shown = list(rows.items())[:MOST_ROWS]
    body = [(context, *(number(row[word]) for word in words)) for context, row in shown]
    return table(["context", *words], body, right=range(1, len(words) + 1))


def _event(event: Event, count: int) -> tuple[str, str, str]:
    lines = event.text.strip().splitlines() or [""]
    again = f" (again at {plural(count - 1, 'more step')})" if count > 1 else ""
    return str(event.step), event.level, shortened(lines[-1] if event.level == "error" else lines[0]) + again


def _learnt(directory: RunDirectory, config: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The numbers of a table policy by context and word; of any other policy nothing, and no torch is loaded."""
    policy = config["policy"]
    if not (isinstance(policy, Mapping) and policy.get("class") == "strop.policies.Table.Config"):
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


def _return(one: Summary) -> float:
    assert one.reward is not None
    return one.reward
