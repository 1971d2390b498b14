"""An environment of Gymnasium's shape, so that the adapters are tried where the package is not installed."""

import numpy as np


class Hops:
    """Hop 1 from place to place; place 3 terminates. The time is up after `turns`. Vector: (place, start)."""

    def __init__(self, turns: int = 2) -> None:
        self.turns, self.is_closed, self.options = turns, False, None

    def reset(self, *, seed=None, options=None):
        self.options = options
        self.first = float(np.random.default_rng(seed).random())
        self.place = 0
        return self._observed(), {}

    def step(self, action):
        assert isinstance(action, int)
        self.place += action
        self.turns -= 1
        return self._observed(), 0.5 * action, self.place >= 3, self.turns <= 0, {"ignored": True}

    def close(self):
        self.is_closed = True

    def _observed(self):
        return np.array([self.place, self.first], dtype=np.float32)


class Sides:
    """Probes 4 and 5: one turn that sees -1 or 1. Action 1 pays `paid[observation]`, action 0 the opposite."""

    def __init__(self, paid=None) -> None:
        self.paid = paid or {-1.0: -1.0, 1.0: 1.0}

    def reset(self, *, seed=None, options=None):
        self.side = float(np.random.default_rng(seed).choice([-1.0, 1.0]))
        return np.array([self.side], dtype=np.float32), {}

    def step(self, action):
        paid = self.paid[self.side] * (1 if action == 1 else -1)
        return np.array([self.side], dtype=np.float32), paid, True, False, {}

    def close(self):
        pass


def same_action():
    """Probe 4: action 1 is right whatever is seen."""
    return Sides({-1.0: 1.0, 1.0: 1.0})
