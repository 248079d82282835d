"""Search records by approximate names."""
