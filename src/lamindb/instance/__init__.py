"""Where records live: instances on this machine, their databases and migrations. Imports core only."""
