import numpy as np

from strop.planning import Edits, Geometric, anneal

words = ("tick", "tock")


def score(tokens):
    """Silence is a hill of its own; the summit is "tick tock tick tock", behind worse sequences."""
    right = sum(a == b for a, b in zip(tokens, (0, 1, 0, 1), strict=False))
    return right / 4 - abs(len(tokens) - 4) / 2 if tokens else 0.5


edits = Edits(alphabet=(0, 1), max_length=5)
for name, schedule in (("uphill only", Geometric(1e-3)), ("annealed", Geometric(2.0, ratio=0.99, floor=0.01))):
    found = anneal((), score, edits, schedule, num_steps=1000, rng=np.random.default_rng(0))
    print(f"{name}: {' '.join(words[token] for token in found.best)!r} {found.score}, {found.accepted} edits accepted")
