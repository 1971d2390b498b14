"""A policy that answers: a run's checkpoint or a model by its name, and conversations with it. Nothing here prints."""
