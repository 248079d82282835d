"""Lineage in other people's formats. Every renderer is a pure function of a `LineageGraph`."""
