"""Guards: warn about a run, or stop it, when its episodes and metrics show that it cannot learn properly.

Each message says what was seen, why it matters and what to do. Guards are functions of a step's episodes and metrics;
`Watch` is all that they remember between steps, and is saved in the checkpoint.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from strop.rollout.waiting import LATE, hanging
from strop.runs.measures import scored_groups
from strop.runs.records import Event
from strop.runs.variety import Variety
from strop.types import End, Episode, Mean, Metric, State, Stopped, Unscored
from strop.words import last_line, plural

LOST_SHARE, LOST_STEPS = 0.2, 3


@dataclass(frozen=True, slots=True)
class GapTolerance:
    """How far the sampler's log-probs may be from the trainer's, in nats. None: not checked.

    `max` and `mean` limit the absolute gap, `bias` its signed mean, which must be 0 if rounding is the only cause. Both
    means are limits for many tokens; over few tokens they vary more, and may be larger (`scatter`). The defaults are
    for float32. `always` checks every update and not only the first: another engine may miss a publish.
    """

    max: float | None = 1e-4
    mean: float | None = None
    bias: float | None = None
    always: bool = False

    def scatter(self, tokens: float) -> float:
        """How far a mean over this many tokens may exceed its limit: four standard errors, with `mean` as the standard
        deviation of the gap."""
        return 0.0 if self.mean is None else 4.0 * self.mean / math.sqrt(tokens)

    @classmethod
    def of(cls, dtype: str) -> GapTolerance:
        """The limits for a gap caused by rounding in this number type."""
        return cls(max=None, mean=0.05, bias=0.005) if dtype == "bfloat16" else cls()

    @classmethod
    def of_engine(cls, dtype: str, gap: float | None, always: bool) -> GapTolerance:
        """The limits for another engine, whose gap the algorithm corrects: the mean gap that it states, or what other
        kernels than the trainer's explain in this number type."""
        if gap is not None:
            return cls(max=None, mean=gap, always=always)
        mean, bias = (0.1, 0.02) if dtype == "bfloat16" else (1e-3, 5e-4)
        return cls(max=None, mean=mean, bias=bias, always=always)


@dataclass(frozen=True, slots=True)
class Watch:
    """What guards remember: the last `streak` steps each lost too many episodes; how varied the policy was."""

    streak: int = 0
    variety: Variety = field(default_factory=Variety)

    def after(
        self,
        step: int,
        episodes: Sequence[Episode],
        stop: frozenset[int],
        max_tokens: int,
        pays: bool = True,
        entropy: float | None = None,
        num_actions: int = 0,
    ) -> tuple[Watch, list[Event]]:
        """The watch after a step, and the step's warnings. `entropy` is the step's in nats a token, None where it was
        not measured; `num_actions` the number of possible actions."""
        too_many, variety = lost_warning(episodes), self.variety.after(entropy, episodes)
        found = (
            too_many,
            length_warning(episodes, stop, max_tokens),
            signal_warning(episodes) if pays else "",
            variety.warning(entropy, episodes, num_actions) if pays else "",
            close_warning(episodes),
            late_warning(episodes),
        )
        return Watch(self.streak + 1 if too_many else 0, variety), [
            Event(step, "warning", text) for text in found if text
        ]

    def check(self, episodes: Sequence[Episode]) -> None:
        """Stop a run that lost too many episodes in several steps in a row."""
        if self.streak >= LOST_STEPS:
            raise Stopped(
                f"{lost_warning(episodes)} This is the step number {self.streak} in a row with more than "
                f"{LOST_SHARE:.0%}, so the run stops. Correct the reward, the environment or the engine, then resume: "
                "the steps since the last checkpoint are done again."
            )

    def state_dict(self) -> State:
        """The state for the checkpoint."""
        return {"streak": self.streak, "variety": self.variety.state_dict()}

    @classmethod
    def from_state(cls, state: State) -> Watch:
        """The watch from a checkpoint's state."""
        return cls(state["streak"], Variety(**state.get("variety", {})))  # older checkpoints have none


def first_reason(episodes: Sequence[Episode]) -> str:
    """If all episodes are Unscored, why the first one is; else empty."""
    reasons = [reward.reason for episode in episodes if isinstance(reward := episode.reward, Unscored)]
    return reasons[0] if reasons and len(reasons) == len(episodes) else ""


def lost_warning(episodes: Sequence[Episode]) -> str:
    """A warning if more than 20 % of the episodes are Unscored or FAILED, with the most frequent reason; else empty."""
    if sum(isinstance(one.reward, Unscored) for one in episodes) <= LOST_SHARE * len(episodes):
        return ""
    return f"{lost(episodes)} They leave the baseline and the loss, so the policy learns only from the others."


def lost(episodes: Sequence[Episode]) -> str:
    """How many episodes are Unscored or FAILED, with the most frequent reason; empty if none is."""
    reasons = [last_line(reward.reason) for e in episodes if isinstance(reward := e.reward, Unscored)]
    if not reasons:
        return ""
    reason, count = Counter(reasons).most_common(1)[0]
    return (
        f"{len(reasons)} of {plural(len(episodes), 'episode')} could not be scored; "
        f"most often ({plural(count, 'time')}): {reason}."
    )


def close_warning(episodes: Sequence[Episode]) -> str:
    """A warning if environments could not be closed after their episodes, with the first reason; else empty."""
    errors = [episode.error for episode in episodes if episode.error and episode.end is not End.FAILED]
    if not errors:
        return ""
    return (
        f"Closing the environment failed in {len(errors)} of {len(episodes)} episodes: "
        f"{last_line(errors[0])}. The episodes count; what the environments held may not be free."
    )


def late_warning(episodes: Sequence[Episode]) -> str:
    """A warning if a call of this step timed out, with all calls that still hang (each keeps a thread); else empty."""
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
    """A warning if no completion of the step ended by itself, although it could; else empty. A choice has no end."""
    completions = [turn.completion for episode in episodes for turn in episode.turns if turn.choices is None]
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
    """A warning about groups whose returns are all equal, which give no learning signal; else empty."""
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
    """The gap between sampler and trainer in words, empty if not measured. Raises Stopped above the tolerance."""
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
    """The limit of one kind of gap, given the number of tokens measured."""
    bound: float | None = getattr(tolerance, kind)
    return bound if bound is None or not isinstance(metric, Mean) else bound + tolerance.scatter(metric.count)


def _verdict(score: float) -> str:
    if score >= 1.0:
        return "too easy"
    return "too hard" if score <= 0.0 else "the reward does not tell them apart"
