"""Where bytes live: one protocol, a local folder or an object store behind it, and the view of current files.

The order in which everything here is written is data, fsync, name, fsync; see `local.py`.
"""
