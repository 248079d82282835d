"""The Django app: plugs what happens to records (use cases) into what records are (models)."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class LaminConfig(AppConfig):
    """Our app, also inside another Django project."""

    name = "lamindb"
    label = "lamindb"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Plug in the use cases, which are imported when first used, and what the user chose for every process."""
        import lamindb.core.settings  # noqa: F401
        from lamindb.db import database
        from lamindb.models import verbs
        from lamindb.models.wiring import Wiring

        database.install_router()
        verbs.plug(Wiring(draw=_draw, show=_show))


def _draw(record: Any, options: dict[str, Any]) -> Any:
    from lamindb.lineage import draw

    return draw.view_lineage(record, options)


def _show(record: Any) -> Any:
    from lamindb.describe import record as describe_record

    return describe_record.page(record)
