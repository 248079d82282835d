"""Files: looked at, saved, read, changed, deleted."""
