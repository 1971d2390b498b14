"""What a family of algorithms shares: one final class a family, which owns the policy, the optimiser and the state."""
