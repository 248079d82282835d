"""Where records came from and what became of them: walks, graphs, ways, impacts."""
