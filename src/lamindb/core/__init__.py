"""Ids, keys, hashing, settings, messages, the file system: imports no other room."""
