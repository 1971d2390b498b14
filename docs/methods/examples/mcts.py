import numpy as np

import strop
from strop.planning import Problem, TreeSearch, rollout_values

policy, codec = strop.policies.Table.Config(words=["spend", "save"]).build(seed=0)  # both are always equally likely


def reward(tokens):
    """Each "save" lays 1 aside; each "spend" pays the square of what lies there, and takes it."""
    paid = laid = 0
    for word in codec.decode(tokens).split():
        paid, laid = (paid, laid + 1) if word == "save" else (paid + laid**2, 0)
    return paid


problem = Problem(codec.encode("spend"), strop.Sampling(max_tokens=6), codec.stop, reward)
leaf = rollout_values(strop.samplers.LocalSampler(policy, codec.stop), problem, np.random.default_rng(0))
for num_simulations in (5, 50):
    search = TreeSearch(TreeSearch.Config(num_simulations=num_simulations), policy, problem, leaf)
    tokens = search.decode()
    print(f"{num_simulations} simulations a word: {codec.decode(tokens)!r} pays {reward(tokens)}")
