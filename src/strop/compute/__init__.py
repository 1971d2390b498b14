"""How a transformer runs on a processor. Only `policies/` uses it, and gives on what others ask for."""
