from strop.planning import FiniteMDP, iterate_policies

# A machine is new, worn or broken. Running it earns 10, 6 or 0 and wears it out; repairing costs 5 and makes it new.
machine = FiniteMDP(
    P=[
        [[0.8, 0.2, 0.0], [1.0, 0.0, 0.0]],
        [[0.0, 0.6, 0.4], [1.0, 0.0, 0.0]],
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
    ],
    R=[[10.0, -5.0], [6.0, -5.0], [0.0, -5.0]],
    start=[1.0, 0.0, 0.0],
    terminal=[False, False, False],
)
for discount in (0.9, 0.5, 0.1):
    best = iterate_policies(machine, discount)
    print(f"discount {discount}:", [("run", "repair")[a] for a in best.action_S], best.value_S.round(2), best.rounds)
