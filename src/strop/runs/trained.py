"""The policy that another run or an earlier stage of this one trained, or that stands in a folder, as a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal, Self, TypeAlias

from strop.hub.form import form_in
from strop.hub.models import SOURCES, get
from strop.policies.adapters import LoRA
from strop.policies.encoder_decoder import EncoderDecoder
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.transformer import Transformer
from strop.runs import saved, spec, staged
from strop.runs.directory import CONFIG, RunDirectory, names_a_run, parse_run
from strop.runs.started import FOR_LIKELIHOOD, Wanted, changed, started
from strop.types import PLACE, Codec, ComputesIn, ComputesOn, Policy, PolicyConfig, State, check_fields

SAME: Literal["same"] = "same"
PRETRAINED = (Transformer.Config, MaskedEncoder.Config)
"""Policies over the models of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromRun(PolicyConfig):
    """What another run trained: `policy="runs/mine"` stands for `FromRun(run="runs/mine")`.

    An adapter of that run is merged into its base, so the reference of this run is the policy that it starts with.

    run         the run's folder, or its name in ./runs; @STEP or @best chooses a checkpoint, else it is the latest. The
                run that starts from it holds the number
    lora        a new adapter, for transformers: "same" takes one like the run's, if it had one; none trains all weights
    actions     for a masked encoder: the words that it chooses from, as a classifier; none keeps those of that run
    value_head  adds the value that actor-critic algorithms and reward models read
    """

    run: str
    lora: LoRA | Literal["same"] | None = SAME
    actions: Sequence[str] | None = None
    value_head: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        _check_lora(self.lora)

    @property
    def computes_on(self) -> ComputesOn:
        """The devices of that run's policy."""
        return self.inner().computes_on

    @property
    def computes_in(self) -> ComputesIn:
        """The number type of that run's policy."""
        return self.inner().computes_in

    @property
    def acts(self) -> bool:
        """As that run's policy, or with actions."""
        return _acts(self)

    def inner(self) -> PolicyConfig:
        """The policy of that run, as its config says. Raises ValueError if there is no such run."""
        return _policy_of(parse_run(self.run)[0])

    def pinned(self) -> Self:
        """This start with its checkpoint by number: a resume needs the same one, even if that run has trained on."""
        directory, selector = parse_run(self.run)
        if isinstance(selector, int):
            return self
        return replace(self, run=f"{directory.path}@{directory.checkpoint_step(selector)}")

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Policy, Codec]:
        """The policy with that run's weights, and its codec."""
        directory, selector = parse_run(self.run)
        return _started(self, directory.load(selector)[1]["policy"], seed, dtype, device)


@dataclass(frozen=True, slots=True, kw_only=True)
class FromStage(PolicyConfig):
    """What an earlier stage of the same run trained: `policy=strop.FromStage("pretrain")`, in a list of `strop.Stage`.

    As with `FromRun` an adapter is merged into its base. The run may be moved, with all its stages.

    stage       the stage's name
    lora        a new adapter, for transformers: "same" takes one like the stage's, if it had one; none trains all
                weights
    actions     for a masked encoder: the words that it chooses from, as a classifier; none keeps those of that stage
    value_head  adds the value that actor-critic algorithms and reward models read
    checkpoint  the latest, the best on held-out tasks, or the one after so many steps. Once training starts from it,
                the run holds its step
    origin      where that stage is: the folder of all stages, or before it is trained its policy
    """

    stage: str = field(kw_only=False)
    lora: LoRA | Literal["same"] | None = SAME
    actions: Sequence[str] | None = None
    value_head: bool = False
    checkpoint: int | Literal["latest", "best"] = "latest"
    origin: Path | PolicyConfig | None = field(default=None, repr=False, compare=False, metadata=PLACE)

    def __post_init__(self) -> None:
        check_fields(self)
        _check_lora(self.lora)
        if isinstance(self.checkpoint, str) and self.checkpoint not in ("latest", "best"):
            raise ValueError(f"policy.checkpoint={self.checkpoint!r}: it is latest, best or a number of steps.")

    @property
    def computes_on(self) -> ComputesOn:
        """The devices of that stage's policy; any, as long as it is not known."""
        return "any" if self.origin is None else self.inner().computes_on

    @property
    def computes_in(self) -> ComputesIn:
        """The number type of that stage's policy; float32, as long as it is not known."""
        return "float32" if self.origin is None else self.inner().computes_in

    @property
    def acts(self) -> bool:
        """As that stage's policy, or with actions; as long as that stage is not known, yes."""
        return self.origin is None or _acts(self)

    def placed_in(self, run: Path) -> Self:
        """This policy for the stage of that folder. One that waits knows no other stages yet."""
        return replace(self, origin=run.parent if staged.is_staged(run.parent) else None)

    def inner(self) -> PolicyConfig:
        """The policy of that stage, as its config says."""
        return _policy_of(self.directory()) if isinstance(self.origin, Path) else self._untrained()

    def directory(self) -> RunDirectory:
        """The run of that stage. Raises ValueError if it is not there."""
        assert isinstance(self.origin, Path)
        return RunDirectory.open(staged.folder_of(self.origin, self.stage))

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Policy, Codec]:
        """The policy with that stage's weights, and its codec. Before that stage is trained, to plan with: its weights
        at random."""
        is_trained = isinstance(self.origin, Path)
        state = self.directory().load(self.checkpoint)[1]["policy"] if is_trained else None
        return _started(self, state, seed, dtype, device)

    def _untrained(self) -> PolicyConfig:
        if isinstance(self.origin, PolicyConfig):
            return self.origin
        raise ValueError(
            f"policy=FromStage({self.stage!r}) is what an earlier stage trained: train a list of strop.Stage, of which "
            f"an earlier one is called {self.stage!r}. For the policy of any other run: strop.FromRun(run=...)."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FromFolder(PolicyConfig):
    """A policy in a folder that `strop export` wrote and that is no Hugging Face model: `policy="my-lstm"` stands for
    `FromFolder(folder="my-lstm")`.

    folder      the folder
    actions     for a masked encoder: the words that it chooses from, as a classifier; none keeps those in the folder
    value_head  adds the value that actor-critic algorithms and reward models read
    """

    folder: str
    actions: Sequence[str] | None = None
    value_head: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def computes_on(self) -> ComputesOn:
        """The devices of the policy in it."""
        return self.inner().computes_on

    @property
    def computes_in(self) -> ComputesIn:
        """The number type of the policy in it."""
        return self.inner().computes_in

    @property
    def acts(self) -> bool:
        """As the policy in it, or with actions."""
        return _acts(self)

    def inner(self) -> PolicyConfig:
        """The policy's Config. Raises ValueError if the folder holds none."""
        return saved.config_in(self._place())

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Policy, Codec]:
        """The policy with its weights, and its codec."""
        return _started(self, saved.state_in(self._place()), seed, dtype, device)

    def _place(self) -> Path:
        """The folder. A model that strop knows is fetched."""
        if _is_ours(self.folder):
            return get(self.folder)
        found = saved.folder_of(self.folder)
        if found is None:
            raise ValueError(f"policy.folder={self.folder!r} is no folder that strop export wrote: it lacks its files.")
        return found


Start: TypeAlias = FromRun | FromStage | FromFolder
"""A policy that has been trained before."""


def first_policy(policy: PolicyConfig) -> PolicyConfig:
    """The policy with which the first of the runs began that this one starts from."""
    while isinstance(policy, Start):
        policy = policy.inner()
    return policy


def chosen_policy(policy: PolicyConfig | str) -> PolicyConfig:
    """The policy of a resolved config: a name is looked up, and what another run trained has the number of its step."""
    found = named_policy(policy) if isinstance(policy, str) else policy
    return found.pinned() if isinstance(found, FromRun) else found


def named_policy(name: str) -> PolicyConfig:
    """The policy that a text names: a model that strop knows, a run, a folder of ours, or any other model.

    All of them have a config.json: a run is looked for before a folder of a model.
    """
    if name not in SOURCES and names_a_run(name):
        return FromRun(run=name)
    is_ours = _is_ours(name) if name in SOURCES else saved.folder_of(name)
    if is_ours:
        return FromFolder(folder=name)
    match form_in(name):
        case "causal":
            return Transformer.Config(model=name)
        case "sequence to sequence":
            return EncoderDecoder.Config(model=name)
        case "masked":
            return MaskedEncoder.Config(model=name)


def _is_ours(name: str) -> bool:
    """Whether a model that strop knows is of its own form."""
    return name in SOURCES and not SOURCES[name].hub_id


def trained_policy(directory: RunDirectory) -> PolicyConfig:
    """The Config of what a run trains, without the runs that it started from."""
    policy = _policy_of(directory)
    wanted = FOR_LIKELIHOOD | ({"value_head": policy.value_head} if isinstance(policy, Start) else {})
    return changed(first_policy(policy), wanted)


def _acts(start: Start) -> bool:
    return start.inner().acts if start.actions is None else bool(start.actions)


def _started(start: Start, state: State | None, seed: int, dtype: str, device: str) -> tuple[Policy, Codec]:
    """The policy that a run starts with, from the state of the one before; without a state as it was at random."""
    wanted = Wanted(_adapter(start), start.actions, start.value_head)
    return started(start.inner(), state, wanted, seed, dtype, device)


def _adapter(start: Start) -> LoRA | None:
    """The new adapter."""
    inner: PolicyConfig = start
    while isinstance(inner, FromRun | FromStage):
        if inner.lora is None or isinstance(inner.lora, LoRA):
            return inner.lora
        inner = inner.inner()
    return inner.lora if isinstance(inner, PRETRAINED) else None


def _check_lora(lora: object) -> None:
    if isinstance(lora, str) and lora != SAME:
        raise ValueError(f"policy.lora={lora!r}: it is 'same', strop.policies.LoRA(...), or None for all weights.")


def _policy_of(directory: RunDirectory) -> PolicyConfig:
    """The policy of a run, as its config says."""
    file = directory.path.resolve() / CONFIG
    return _read_policy(file.parent, file.stat().st_mtime_ns if file.is_file() else 0)


@cache
def _read_policy(run: Path, written: int) -> PolicyConfig:
    """Read once, since it may load the run's recipe; `written` is when its config was."""
    with spec.recipe_kept():
        inner: PolicyConfig = spec.some_of(run, ("policy",))["policy"]
    return inner
