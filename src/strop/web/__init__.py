"""A served policy: an OpenAI-compatible API, a place for feedback, and pages. Nothing here prints."""
