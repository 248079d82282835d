"""Our connection to SQLite; Django finds it by the name of this package."""
