"""The facts for the model card of a run's policy, read from the run's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from strop.data.played import is_played, played_episode
from strop.reports.plan import title
from strop.reports.verdicts import Verdict, verdicts_of
from strop.runs.directory import RunDirectory
from strop.runs.lineage import first_policy, runs_before
from strop.runs.spec import read_tasks
from strop.types import Codec, Prompt, Sampling, Task, Tokens

if TYPE_CHECKING:
    from strop.hub.card import Card, Usage


def card_of(directory: RunDirectory, step: int, codec: Codec, sampling: Sampling, name: str) -> Card:
    """The card of the checkpoint after `step` steps, under this name."""
    from strop.hub.card import Card
    from strop.hub.origin import FROM_SCRATCH, origin_of

    config, provenance = directory.config(), directory.provenance()
    base = _base(first_policy(directory))
    return Card(
        title=name,
        origin=origin_of(base) if base else FROM_SCRATCH,
        algorithm=title(config["algorithm"]),
        command=str(provenance.get("command", "")),
        steps=step,
        before=tuple((title(one.config()["algorithm"]), steps) for one, steps in runs_before(directory)),
        verdicts=tuple(_row(verdict) for verdict in _verdicts(directory, step)),
        strop=str(provenance.get("versions", {}).get("strop", "")),
        usage=_usage(directory, config, codec, sampling),
    )


def _base(policy: Any) -> str:
    """The base model's name or folder; empty of a model from scratch."""
    return str(policy.get("model") or policy.get("folder") or "") if isinstance(policy, dict) else str(policy)


def _usage(directory: RunDirectory, config: Mapping[str, Any], codec: Codec, sampling: Sampling) -> Usage:
    """How the policy was prompted. The example is the shortest task prompt, with a system prompt if any has one."""
    from strop.hub.card import Usage

    tasks = read_tasks(directory.path / "tasks.jsonl")
    is_single_turn = config["environment"].get("name") == "strop.environments.SingleTurn"
    prompts = [task.prompt for task in tasks if task.prompt and is_single_turn]
    systems = list(dict.fromkeys(filter(None, map(_system, prompts))))
    shortest = min(prompts, key=lambda prompt: (not _system(prompt), len(str(prompt))), default=None)
    if not tasks:  # it read a corpus
        return Usage(prompt="", systems=systems, sampling=sampling)
    return Usage(prompt=shortest or _first_tokens(directory, codec, tasks), systems=systems, sampling=sampling)


def _first_tokens(directory: RunDirectory, codec: Codec, tasks: Sequence[Task]) -> Tokens:
    """The first prompt of an episode, as tokens: an environment may begin with another text than the task's."""
    if is_played(tasks[0]):
        return played_episode(tasks[0], codec, group=0).turns[0].prompt
    with directory.reader() as store:
        return next((one.turns[0].prompt for one in store.episodes("train", store.latest_step()) if one.turns), ())


def _system(prompt: Prompt) -> str:
    """The system prompt of a prompt; empty if it has none."""
    return "" if isinstance(prompt, str) or prompt[0]["role"] != "system" else prompt[0]["content"]


def _verdicts(directory: RunDirectory, step: int) -> list[Verdict]:
    """The run's verdicts, if its last judgement is of this step."""
    with directory.reader() as store:
        judged = [at for at, _ in store.series("held_out/reward")]
    return verdicts_of(directory) if judged and judged[-1] == step else []


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    return verdict.name, str(verdict.before), str(verdict.after), str(verdict.difference)
