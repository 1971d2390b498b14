"""What counts as a success, and the rate over the last groups."""

import math

from outcomes import group
from strop.data.outcomes import Outcome, Recent, outcomes
from strop.types import Source, Unscored


def test_each_group_has_its_successes_in_the_order_of_play():
    episodes = [*group("b", 1.0, 0.5, 2.0), *group("a", 0.0, 0.99), *group("b", 1.0)]
    assert outcomes(episodes, 1.0) == [Outcome("b", 2, 3), Outcome("a", 0, 2), Outcome("b", 1, 1)]
    assert outcomes(episodes, 0.5) == [Outcome("b", 3, 3), Outcome("a", 1, 2), Outcome("b", 1, 1)]


def test_unscored_and_greedy_episodes_are_left_out():
    lost = Unscored("no judge")
    greedy = group("a", 1.0, source=Source.GREEDY)
    assert outcomes([*group("a", 1.0, lost, 0.0), *group("b", lost, lost), *greedy], 1.0) == [Outcome("a", 1, 2)]


def test_the_rate_is_that_of_all_episodes_of_the_last_groups():
    recent = Recent(2)
    assert math.isnan(recent.rate)
    assert not recent.is_full
    for won, played in ((4, 4), (0, 2), (3, 4)):
        recent.add(Outcome("a", won, played))
    assert recent.is_full
    assert recent.rate == 3 / 6  # the first group has left: (0 + 3) of (2 + 4)
    again = Recent(2)
    again.load(recent.state())
    assert (again.rate, again.is_full, again.state()) == (3 / 6, True, [[0, 2], [3, 4]])
