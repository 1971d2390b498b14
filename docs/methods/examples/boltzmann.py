import strop
from strop.planning import enumerate_sequences, regularised_optimum, soft_policies, soft_values

policy, codec = strop.policies.Table.Config(words=["ha", "hm"]).build(seed=0)  # both are always equally likely
reference = enumerate_sequences(policy, codec.encode("hm"), strop.Sampling(max_tokens=4), codec.stop)


def reward(tokens):
    return tokens.count(codec.encode("ha")[0])


for beta in (10.0, 1.0, 0.1):
    best = regularised_optimum(reference.logprobs_Y, reference.rewards_Y(reward), beta)
    probs_V = soft_policies(reference, soft_values(reference, reward, beta), beta)[()].exp()
    print(f"beta {beta:g}: reward {best.reward:.3f}, KL {best.kl:.3f}, first word 'ha' {probs_V[0]:.3f}")
