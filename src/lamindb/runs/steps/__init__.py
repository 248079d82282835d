"""Functions as runs: steps and flows."""
