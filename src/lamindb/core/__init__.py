"""The pure room: errors, ids, keys, hashing, settings values. Imports nothing of ours."""
