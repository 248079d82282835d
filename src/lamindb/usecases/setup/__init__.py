"""Instances: made, connected, moved, backed up, deleted."""
