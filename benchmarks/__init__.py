"""Benchmarks, as ratios to the limits of the machine, measured in the same run."""
