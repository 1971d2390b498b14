import numpy as np

from strop.planning import FiniteMDP, policy_values

# A drunkard between two ends, 0 and 6: left or right by a coin. Stepping into 6 pays 1.
P, R = np.zeros((7, 2, 7)), np.zeros((7, 2, 7))
for place in range(1, 6):
    P[place, 0, place - 1] = P[place, 1, place + 1] = 1.0
R[5, 1, 6] = 1.0
street = FiniteMDP(P, R, start=np.eye(7)[3], terminal=np.isin(np.arange(7), [0, 6]))

for right in (0.5, 0.7):
    values = policy_values(street, np.full((7, 2), [1 - right, right]), discount=1.0)
    print(f"right with {right}:", values.value_S[1:6].round(4))
