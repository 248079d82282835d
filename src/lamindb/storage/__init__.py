"""Where bytes live: one protocol, a local folder or an object store behind it, and the view of current files.

The order in which everything here is written is data, flush, name, flush; see `local.py` and `batch.py`.
"""
