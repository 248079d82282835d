"""Runs of notebooks, scripts and pipelines: what runs, how it began and ended, what it read and wrote."""
