import numpy as np

from strop.planning import FiniteMDP, backward_induction, iterate_values

# Six rooms in a row. The first holds 1 coin and the last holds 5; both are the end.
P, R = np.zeros((6, 2, 6)), np.zeros((6, 2, 6))
for room in range(1, 5):
    P[room, 0, room - 1] = P[room, 1, room + 1] = 1.0
R[1, 0, 0], R[4, 1, 5] = 1.0, 5.0
rooms = FiniteMDP(P, R, start=np.eye(6)[1], terminal=np.isin(np.arange(6), [0, 5]))

for discount in (0.9, 0.5):
    best = iterate_values(rooms, discount)
    print(f"discount {discount}:", best.value_S[1:5].round(3), [("left", "right")[a] for a in best.action_S[1:5]])
plan = backward_induction(rooms, horizon=4)
print("from room 1 with 0, 1, ... 4 steps left:", plan.value_HS[:, 1])
