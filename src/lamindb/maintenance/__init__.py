"""Taking care of what is stored: verifying it, removing it, collecting what nothing needs."""
