"""The Django app of the models."""

from __future__ import annotations

from django.apps import AppConfig


class LaminConfig(AppConfig):
    """Our app, also inside another Django project."""

    name = "lamindb"
    label = "lamindb"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Send each record to the database of its instance, and let the user's settings count, as the verbosity."""
        import lamindb.core.settings  # noqa: F401
        from lamindb.db import database

        database.install_router()
