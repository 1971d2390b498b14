"""Samplers turn prompts into completions. Order is kept, and completion i draws from its own random stream."""
