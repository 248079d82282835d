"""Databases: Django as a library, connections, migrations, bulk writes."""
