"""Load a run's checkpoint or a model by name, talk with it, or let it answer many at once. Nothing here prints."""
