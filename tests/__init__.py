"""The suite: a folder for each room of `src/`, and whole stories beside them."""
