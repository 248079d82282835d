"""An index of the files that are not current, from which the query for stale files starts."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds an index; no row is changed."""

    dependencies = [("lamindb", "0005_flags")]

    operations = [
        migrations.AddIndex(
            model_name="file",
            index=models.Index(
                condition=models.Q(("is_latest", False), ("trashed_at__isnull", False), _connector="OR"),
                fields=["id"],
                name="file_not_current",
            ),
        ),
    ]
