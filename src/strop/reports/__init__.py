"""Facts about a config, its parts or a run directory, as records. Nothing here prints, and nothing needs a `Run`."""
