import math

import strop
from strop.planning import enumerate_sequences, mean_values, optimal_values

policy, codec = strop.policies.Table.Config(words=["knock", "enter"], has_end=True).build(seed=0)  # the end is a word
tree = enumerate_sequences(policy, codec.encode("knock"), strop.Sampling(max_tokens=2), codec.stop)


def reward(tokens):
    return {"knock enter": 2.0, "enter": -1.0}.get(codec.decode(tokens), 0.0)


for tokens, logprob in tree.sequences.items():
    print(f"{' '.join(codec.words[token] for token in tokens)}: {math.exp(logprob):.3f}, reward {reward(tokens):g}")
for name, values in (("the best", optimal_values(tree, reward)), ("the mean", mean_values(tree, reward))):
    first = dict(zip(codec.words, values.q[()].numpy().round(3).tolist(), strict=True))
    print(f"{name}: {values.value[()]:.3f}, after each first word {first}")
