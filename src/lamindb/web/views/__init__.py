"""The views: each takes a request and the parts of its path, and returns an answer."""
