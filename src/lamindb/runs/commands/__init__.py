"""Commands and shell scripts as runs."""
