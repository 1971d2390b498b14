import strop
from strop.planning import best_of_n_bound, best_of_n_distribution, best_of_n_kl, enumerate_sequences, sample_best
from strop.streams import stream

policy, codec = strop.policies.Table.Config(words=["ha", "hm"]).build(seed=0)  # both are always equally likely
prompt, sampling = codec.encode("hm"), strop.Sampling(max_tokens=4)


def reward(tokens):
    return tokens.count(codec.encode("ha")[0])


sampler = strop.samplers.LocalSampler(policy, codec.stop)
best = sample_best(sampler, prompt, reward, sampling, [stream(0, "sample", i) for i in range(8)])
print(f"best of 8: {codec.decode(best.completion.tokens)!r}, of the rewards {best.rewards}")

tree = enumerate_sequences(policy, prompt, sampling, codec.stop)
probs_Y, rewards_Y = tree.logprobs_Y.exp(), tree.rewards_Y(reward)
for n in (1, 8, 64):
    mean = float(best_of_n_distribution(probs_Y, rewards_Y, n) @ rewards_Y)
    print(f"n = {n}: reward {mean:.2f}, KL {best_of_n_kl(probs_Y, rewards_Y, n):.2f} <= {best_of_n_bound(n):.2f}")
