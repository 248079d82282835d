"""The suite: a mirror of `src/`, and whole stories beside it."""
