"""What a policy would earn, from the log of another one: a logged bandit.

Of N lines of a log, each holds what was done, its probability then, and the reward. With weight w = (probability of
the action under the policy to be judged) / (its probability under the one that was logged), reward r, a model's
reward q of the logged action and its mean v under the policy to be judged:

    direct method         mean(v)                    as right as the model
    inverse propensity    mean(w r)                  unbiased (Horvitz and Thompson 1952)
    self-normalised       sum(w r) / sum(w)          consistent (Swaminathan and Joachims 2015)
    doubly robust         mean(v + w (r - q))        unbiased (Dudik, Langford and Li 2011)

Unbiased: if the logged probabilities are true, and above 0 wherever the policy to be judged does something; doubly
robust also if those are wrong and the model is right. The model has to come from other lines.

Intervals are of 95 %, Student's t of the means; of the ratio, by its linear part (delta method). They hold for many
lines. Where `effective_size` is small, they are too narrow: the rare lines of large weight may not have come yet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strop.intervals import Interval, mean_interval

Floats = NDArray[np.float64]
LINE = "line"


def direct_method(expected: ArrayLike) -> Interval:
    """What a model of rewards expects of the policy. `expected` [N]: the model's mean reward under it on each line.

    The interval is of the lines alone; it knows nothing of how wrong the model is.
    """
    return _mean(*_columns(expected=expected))


def inverse_propensity(reward: ArrayLike, weight: ArrayLike) -> Interval:
    """The mean of weight times reward, over lines [N]."""
    reward_N, weight_N = _log(reward=reward, weight=weight)
    return _mean(weight_N * reward_N)


def self_normalised(reward: ArrayLike, weight: ArrayLike) -> Interval:
    """Rewards [N], weighted by their weights [N], whose sum takes the place of the number of lines.

    It never lies outside of the rewards that were seen, and adding a number to all of them adds it to the estimate.
    """
    reward_N, weight_N = _log(reward=reward, weight=weight)
    total = float(weight_N.sum())
    if total == 0.0:
        reason = "all weights are 0: the policy does nothing that was logged"
        return Interval(float("nan"), float("nan"), float("nan"), reason)
    mean = float((weight_N * reward_N).sum()) / total
    return _mean(mean + weight_N * (reward_N - mean) * len(weight_N) / total)


def doubly_robust(reward: ArrayLike, weight: ArrayLike, predicted: ArrayLike, expected: ArrayLike) -> Interval:
    """The model's mean, corrected by what it missed on the logged actions; all of them [N].

    predicted  the model's reward of the logged action
    expected   the model's mean reward under the policy to be judged
    """
    reward_N, weight_N, predicted_N, expected_N = _log(
        reward=reward, weight=weight, predicted=predicted, expected=expected
    )
    return _mean(expected_N + weight_N * (reward_N - predicted_N))


def effective_size(weight: ArrayLike) -> float:
    """As how many lines of weight 1 these count: sum(w)^2 / sum(w^2) (Kong 1992); 0 if all weights are 0."""
    (weight_N,) = _log(weight=weight)
    squares = float((weight_N**2).sum())
    return float(weight_N.sum()) ** 2 / squares if squares else 0.0


def _mean(values_N: Floats) -> Interval:
    return mean_interval(values_N, LINE, values_N)


def _log(**columns: ArrayLike) -> list[Floats]:
    """The columns of a log, among them weights, which are not below 0."""
    found = _columns(**columns)
    weight_N = found[list(columns).index("weight")]
    if (weight_N < 0.0).any():
        raise ValueError(f"weight holds {weight_N.min():g}: it is a probability over another one, so at least 0.")
    return found


def _columns(**columns: ArrayLike) -> list[Floats]:
    """Columns of equal length. Raises ValueError for another shape, no line, or a number that is not finite."""
    found = [np.asarray(column, dtype=np.float64) for column in columns.values()]
    for name, column_N in zip(columns, found, strict=True):
        if column_N.ndim != 1 or not len(column_N) or len(column_N) != len(found[0]):
            shapes = ", ".join(f"{name} {column.shape}" for name, column in zip(columns, found, strict=True))
            raise ValueError(f"a log has one number a line and at least one line, and there are: {shapes}.")
        if not np.isfinite(column_N).all():
            raise ValueError(
                f"{name} holds NaN or infinity: were probabilities of 0 logged, or is a reward unknown? Leave it out."
            )
    return found
