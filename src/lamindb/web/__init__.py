"""Pages that show an instance in a browser: read-only, on this machine, without a build step or a network."""
