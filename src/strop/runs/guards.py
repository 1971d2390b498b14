"""Guards: what stops a run, or warns in words, when its numbers say that it does not learn what it should.

Each guard says what it saw, why it matters and what to do. They are functions of a step's episodes and metrics;
`Watch` is the little that they remember between steps, and it travels in the checkpoint.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strop.rollout.waiting import LATE, hanging
from strop.runs.measures import scored_groups
from strop.runs.records import Event
from strop.types import End, Episode, Mean, Metric, State, Stopped, Unscored
from strop.words import last_line, plural

LOST_SHARE, LOST_STEPS = 0.2, 3


@dataclass(frozen=True, slots=True)
class GapTolerance:
    """How far the sampler's log-probs may lie from the trainer's, in nats. None: not checked.

    `max` and `mean` are of the gap's size; `bias` is of its mean with the sign, which must vanish where rounding is
    the only cause. Both means hold for many tokens; those of a few scatter, and may be larger (`scatter`). The defaults
    are for float32.
    """

    max: float | None = 1e-4
    mean: float | None = None
    bias: float | None = None

    def scatter(self, tokens: float) -> float:
        """What a mean over so many tokens may lie beside its bound: four times its standard error, were `mean` the
        gap's standard deviation."""
        return 0.0 if self.mean is None else 4.0 * self.mean / math.sqrt(tokens)

    @classmethod
    def of(cls, dtype: str) -> GapTolerance:
        """What rounding in this type explains."""
        return cls(max=None, mean=0.05, bias=0.005) if dtype == "bfloat16" else cls()

    @classmethod
    def of_engine(cls, dtype: str) -> GapTolerance:
        """What is tolerated of a sampler with other kernels than the trainer's, whose gap the algorithm corrects."""
        mean, bias = {"int8": (0.5, 0.1), "bfloat16": (0.1, 0.02), "float32": (1e-3, 5e-4)}[dtype]
        return cls(max=None, mean=mean, bias=bias)


@dataclass(frozen=True, slots=True)
class Watch:
    """`streak` steps in a row lost too many episodes."""

    streak: int = 0

    def after(
        self, step: int, episodes: Sequence[Episode], stop: frozenset[int], max_tokens: int, pays: bool = True
    ) -> tuple[Watch, list[Event]]:
        """The watch after a step, and what there is to warn of."""
        lost = lost_warning(episodes)
        found = (
            lost,
            length_warning(episodes, stop, max_tokens),
            signal_warning(episodes) if pays else "",
            close_warning(episodes),
            late_warning(episodes),
        )
        return Watch(self.streak + 1 if lost else 0), [Event(step, "warning", text) for text in found if text]

    def check(self, episodes: Sequence[Episode]) -> None:
        """Stop a run that loses too many episodes for too long."""
        if self.streak >= LOST_STEPS:
            raise Stopped(
                f"{lost_warning(episodes)} This is the step number {self.streak} in a row with more than "
                f"{LOST_SHARE:.0%}, so the run stops. Correct the reward or the environment, then resume: "
                "the steps since the last checkpoint are done again."
            )

    def state_dict(self) -> State:
        """What a checkpoint keeps."""
        return {"streak": self.streak}

    @classmethod
    def from_state(cls, state: State) -> Watch:
        """The watch of a checkpoint."""
        return cls(state["streak"])


def first_reason(episodes: Sequence[Episode]) -> str:
    """Why the first episode has no reward, where none has one; else nothing."""
    reasons = [reward.reason for episode in episodes if isinstance(reward := episode.reward, Unscored)]
    return reasons[0] if reasons and len(reasons) == len(episodes) else ""


def lost_warning(episodes: Sequence[Episode]) -> str:
    """Says that more than 20 % of the episodes are Unscored or FAILED, and the most frequent reason; else nothing."""
    reasons = [last_line(reward.reason) for e in episodes if isinstance(reward := e.reward, Unscored)]
    if len(reasons) <= LOST_SHARE * len(episodes):
        return ""
    reason, count = Counter(reasons).most_common(1)[0]
    return (
        f"{len(reasons)} of {plural(len(episodes), 'episode')} could not be scored; "
        f"most often ({plural(count, 'time')}): {reason}. "
        "They leave the baseline and the loss, so the policy learns only from the others."
    )


def close_warning(episodes: Sequence[Episode]) -> str:
    """Says that environments could not be closed behind played episodes, and the first reason; else nothing."""
    errors = [episode.error for episode in episodes if episode.error and episode.end is not End.FAILED]
    if not errors:
        return ""
    return (
        f"Closing the environment failed in {len(errors)} of {len(episodes)} episodes: "
        f"{last_line(errors[0])}. The episodes count; what the environments held may not be free."
    )


def late_warning(episodes: Sequence[Episode]) -> str:
    """Where a call of this step took too long: says which calls still hang, since each keeps a thread; else nothing."""
    reasons = [reward.reason for e in episodes if isinstance(reward := e.reward, Unscored)]
    found = hanging()
    if not found or not any(LATE in reason for reason in [*reasons, *(e.error for e in episodes)]):
        return ""
    names = ", ".join(f"{name} ({count})" for name, count in found.most_common())
    threads = "1 thread still hangs" if found.total() == 1 else f"{found.total()} threads still hang"
    return (
        f"{threads} in {names}. Python cannot end a thread: it keeps its memory and its locks until its call returns. "
        "Give what it waits for a time limit of its own."
    )


def length_warning(episodes: Sequence[Episode], stop: frozenset[int], max_tokens: int) -> str:
    """Says that no completion of the step ended by itself, where it could have; else nothing."""
    completions = [turn.completion for episode in episodes for turn in episode.turns]
    if not stop or max_tokens <= 1 or not completions:
        return ""
    advice = (
        "The policy never sees what ending brings. Raise sampling.max_tokens, ask in the prompt for a shorter answer, "
        "or reward answers that end."
    )
    if all(completion.finish == "length" for completion in completions):
        every = f"All {len(completions)} completions were" if len(completions) > 1 else "The only completion was"
        return f"{every} cut at max_tokens={max_tokens}. {advice}"
    if not any(completion.tokens and completion.tokens[-1] in stop for completion in completions):
        return f"Of {plural(len(completions), 'completion')}, none ended with a stop token. {advice}"
    return ""


def signal_warning(episodes: Sequence[Episode]) -> str:
    """Explains the groups whose scored episodes have exactly equal returns: comparing them teaches nothing."""
    groups = scored_groups(episodes)
    flat = Counter((len(returns_G), returns_G[0]) for returns_G in groups.values() if len(set(returns_G)) == 1)
    if not flat:
        return ""
    num_flat = sum(flat.values())
    kinds = "; ".join(
        f"{count} x all {size} answers scored {score:g}: {_verdict(score)}"
        for (size, score), count in flat.most_common(3)
    )
    gives = "gives" if num_flat == 1 else "give"
    return (
        f"{num_flat} of {plural(len(groups), 'group')} {gives} no signal ({kinds}). A method that compares the answers "
        "of a group learns nothing from them; mix in tasks that are sometimes solved, or a reward with finer steps."
    )


def sampler_gap(metrics: Mapping[str, Metric], tolerance: GapTolerance) -> str:
    """The measured gap between sampler and trainer in words (nothing if not measured); above tolerance, stop."""
    found = {kind: metrics.get(f"policy/sampler_gap_{kind}") for kind in ("max", "mean", "bias")}
    measured = {
        kind: (metric.value, _allowed(tolerance, kind, metric)) for kind, metric in found.items() if metric is not None
    }
    if not measured:
        return ""
    gaps = ", ".join(f"{kind} {value:.2g}" for kind, (value, _) in measured.items())
    # Written so that a NaN, which is not <= anything, stops the run too.
    over = {kind: pair for kind, pair in measured.items() if pair[1] is not None and not abs(pair[0]) <= pair[1]}
    if not over:
        return f"sampler and trainer agree: gap {gaps} nats a token"
    limits = ", ".join(f"{kind} {allowed:.2g}" for kind, (_, allowed) in over.items())
    raise Stopped(
        f"The sampler's and the trainer's log-probs of the same tokens differ: gap {gaps} nats a token, allowed "
        f"{limits}. The gradient would belong to another policy than the one that acted. Likely causes: sampler and "
        "trainer use other weights, another number type, temperature, top_p/top_k or position ids, or dropout is on."
    )


def _allowed(tolerance: GapTolerance, kind: str, metric: Metric) -> float | None:
    """The bound of one kind of gap, as it was measured."""
    bound: float | None = getattr(tolerance, kind)
    return bound if bound is None or not isinstance(metric, Mean) else bound + tolerance.scatter(metric.count)


def _verdict(score: float) -> str:
    if score >= 1.0:
        return "too easy"
    return "too hard" if score <= 0.0 else "the reward does not tell them apart"
