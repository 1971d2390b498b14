"""Every algorithm against its exact answer: one file a family of methods. `checks.py` says how they are found."""
