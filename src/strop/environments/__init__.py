"""Environments speak text, and one object plays one episode: `environment(task, rng)`. One file each."""
