"""What leaves an instance for people who have no access to it: a page in one file, and an archive with bytes."""
