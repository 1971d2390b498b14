"""The facts that `strop show` prints of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strop.reports.baselines import Beside, besides_of
from strop.reports.corpus import CorpusOfRun, corpus_of
from strop.reports.plan import title
from strop.reports.pretrained import Pretrained, is_pretrained, pretrained_of
from strop.reports.settings import every_setting
from strop.reports.verdicts import Verdict, verdicts_of
from strop.runs.directory import RunDirectory
from strop.runs.lineage import first_policy
from strop.runs.records import Event, Summary
from strop.runs.standing import standing
from strop.runs.store import Store

LOSS = "optimizer/loss"
REWARD = "reward/mean"
SOURCE = "curriculum/"
"""How the metrics begin that a task source gives: each is a curve."""
CURVES = (
    REWARD,
    "held_out/reward",
    "held_out/gold",
    "held_out/loss",
    "held_out/perplexity",
    "held_out/filled",
    LOSS,
    "policy/nll",
    "masked/nll",
    "masked/accuracy",
    "masked/next_accuracy",
    "preference/accuracy",
    "held_out/accuracy",
    "held_out/logit",
    "policy/kl",
    "policy/entropy",
    "rollout/length",
    "signal/groups",
    "time/tokens_per_second",
)


@dataclass(frozen=True, slots=True)
class Page:
    """A run on one page.

    `checkpoints` are steps, `best_checkpoint` is the best of them on held-out tasks; `files` are the checkpoints of a
    run that another program trained. `config` is the plan in lines, `fields` is every field as it is typed. `last`
    holds the metrics of the last step, `best` and `worst` are its episodes of highest and lowest reward, `max_tokens`
    is the limit of a turn (0 for other programs' runs); `table` holds the values of a table policy,
    `corpus` what is known of the text that a run learns from, `pretrained` how well it predicts held-out documents.
    """

    run: str
    status: str
    done: int
    steps: int
    checkpoints: list[int]
    best_checkpoint: int | None
    files: list[str]
    config: dict[str, str]
    fields: list[str]
    last: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    verdicts: list[Verdict]
    besides: list[Beside]
    events: list[Event]
    best: Summary | None
    worst: Summary | None
    max_tokens: int
    table: dict[str, dict[str, float]]
    corpus: CorpusOfRun | None
    pretrained: Pretrained | None


@dataclass(frozen=True, slots=True)
class StepEpisodes:
    """The training episodes of one step; `pays` says whether the run has rewards."""

    episodes: list[Summary]
    max_tokens: int
    pays: bool


def page_of(directory: RunDirectory) -> Page:
    """Read from the run's files, also while another process trains it; no model is loaded."""
    config, found = directory.config(), standing(directory)
    with directory.reader() as store:
        events, metrics, best_checkpoint = store.events(), store.metrics(), store.best_step()
        of_source = sorted({name for one in metrics for name in one if name.startswith(SOURCE)})
        curves = {name: store.series(name) for name in (*CURVES, *of_source)}
        scored = _scored(store) if curves[REWARD] else []
    trained = [one for one in metrics if "time/step_seconds" in one]
    return Page(
        run=str(directory.path),
        status=found.status,
        done=found.done,
        steps=found.steps,
        checkpoints=directory.checkpoints.steps(),
        best_checkpoint=best_checkpoint,
        files=[file.name for file in directory.checkpoints.files()],
        config=_config(directory, config),
        fields=every_setting(config),
        last=trained[-1] if trained else {},
        curves={
            name: points for name, points in curves.items() if points and (name != LOSS or not _has_rewards(curves))
        },
        verdicts=verdicts_of(directory),
        besides=besides_of(directory),
        events=events,
        best=max(scored, key=_reward, default=None),
        worst=min(scored, key=_reward, default=None),
        max_tokens=_max_tokens(config),
        table=_table(directory),
        corpus=corpus_of(directory),
        pretrained=pretrained_of(directory) if is_pretrained(directory) else None,
    )


def episodes_of(directory: RunDirectory, step: int) -> StepEpisodes:
    """Every training episode of a step (from 0). Raises ValueError where there is none."""
    with directory.reader() as store:
        found, latest, rewards = store.summaries("train", step), store.latest_step(), store.series(REWARD)
    if not found:
        there = "none is finished" if latest is None else f"there are 0 to {latest}"
        raise ValueError(f"{directory.path} has no episodes of step {step}: {there}.")
    return StepEpisodes(found, _max_tokens(directory.config()), pays=bool(rewards))


def _max_tokens(config: Mapping[str, Any]) -> int:
    return int(config["sampling"]["max_tokens"]) if "sampling" in config else 0


def _scored(store: Store) -> list[Summary]:
    """The episodes of the last step that have a reward."""
    latest = store.latest_step()
    return [] if latest is None else [one for one in store.summaries("train", latest) if one.reward is not None]


def _has_rewards(curves: Mapping[str, Sequence[tuple[int, float]]]) -> bool:
    """Whether the run has rewards: then the curve of the loss is left out, since it tells nothing."""
    return any(value for _, value in curves[REWARD])


def _config(directory: RunDirectory, config: Mapping[str, Any]) -> dict[str, str]:
    """The config in a few lines: the stored plan."""
    plan = directory.plan()  # a run that is still loading its model has none yet
    return plan or {name: title(config[name]) for name in ("policy", "algorithm", "environment")}


def _table(directory: RunDirectory) -> dict[str, dict[str, float]]:
    """The entries of a table policy by context and word; empty for other policies."""
    policy = first_policy(directory)
    if not (isinstance(policy, Mapping) and policy.get("class") == "strop.policies.Table.Config"):
        return {}
    if not directory.checkpoints.steps():
        return {}
    state = directory.checkpoints.load_arrays(directory.checkpoint_step())
    words = [*policy["words"], *(["<end>"] if policy["has_end"] else [])]
    weight = state["policy"]["weight"]
    return {
        " ".join(words[token] for token in context): dict(zip(words, weight[row].tolist(), strict=True))
        for row, context in enumerate(state["policy"]["contexts"])
    }


def _reward(one: Summary) -> float:
    assert one.reward is not None
    return one.reward
