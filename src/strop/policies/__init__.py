"""Models that act and learn: each owns its parameters and obeys `strop.types.Policy`."""
