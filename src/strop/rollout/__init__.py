"""Environment x Sampler -> episodes, scored, under time limits."""
