"""Our connection to PostgreSQL; Django finds it by the name of this package."""
