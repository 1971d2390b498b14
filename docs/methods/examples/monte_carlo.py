import numpy as np

from strop.planning import FiniteMDP, first_visit_values, play, policy_values, weighted_importance

# Guess how a bent coin falls, again and again: 1 for each right guess, and the first wrong one is the end.
fall = [[[0.7, 0.3], [0.3, 0.7]]] * 2
coin = FiniteMDP(P=fall, R=[[[1.0, 0.0]] * 2] * 2, start=[1.0, 0.0], terminal=[False, True])
mostly, always = np.array([[0.9, 0.1]] * 2), np.array([[1.0, 0.0]] * 2)  # how often heads is said

rng = np.random.default_rng(0)
paths = [play(coin, mostly, rng, max_steps=100) for _ in range(1000)]
sampled = first_visit_values(paths, coin.num_states, discount=0.9)[0]
print(f"mostly heads: {sampled:.2f}, exactly {policy_values(coin, mostly, discount=0.9).value_S[0]:.2f}")
sampled = weighted_importance(paths, always, mostly, discount=0.9)
print(f"always heads, from the same paths: {sampled:.2f}, exactly {policy_values(coin, always, 0.9).value_S[0]:.2f}")
