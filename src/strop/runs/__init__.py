"""The edge: one run directory (store, checkpoints, guards, progress)."""
