"""The same work by LaminDB, DVC and MLflow beside ours: `./dev bench --peers` or `python -m benchmarks.peers`."""
