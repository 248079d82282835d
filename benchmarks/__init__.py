"""How fast it is, as ratios to what this machine can do in the same run."""
