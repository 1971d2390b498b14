"""A run directory on disk: store, checkpoints, guards, progress."""
