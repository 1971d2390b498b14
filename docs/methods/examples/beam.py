import math

import torch

import strop
from strop.planning import beam_search

policy, codec = strop.policies.Table.Config(words=["the", "nice", "dog", "house", "barks"], order=1).build(seed=0)
distributions = {"the": (0, 0.5, 0.4, 0.1, 0), "nice": (0, 0, 0.3, 0.5, 0.2), "dog": (0, 0, 0.05, 0.05, 0.9)}
for word, distribution in distributions.items():
    policy.weight.data[policy.row(codec.encode(word))] = torch.tensor(distribution, dtype=torch.float64).log()

for width in (1, 2):  # the likeliest first word does not begin the likeliest text
    for beam in beam_search(policy, codec.encode("the"), strop.Sampling(max_tokens=2), codec.stop, width):
        print(f"width {width}: the {codec.decode(beam.tokens)}, probability {math.exp(beam.logprob):.2f}")
