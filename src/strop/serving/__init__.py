"""Chat: load a run's checkpoint or a model by name, and hold a conversation with it. Nothing here prints."""
