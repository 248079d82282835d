"""The tables of files, transforms and users as an ordinary Django project would describe them, to compare with."""

from __future__ import annotations

from django.db import models

import lamindb.models  # noqa: F401  configures Django


class Transform(models.Model):
    """A transform."""

    id = models.CharField(primary_key=True, max_length=16)
    name = models.TextField()
    version = models.TextField()
    type = models.TextField()
    reference = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        app_label = "plain"
        managed = False
        db_table = "lamindb_transform"


class User(models.Model):
    """A user."""

    id = models.CharField(primary_key=True, max_length=8)
    handle = models.TextField()
    name = models.TextField(null=True)
    email = models.TextField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "plain"
        managed = False
        db_table = "lamindb_user"


class File(models.Model):
    """A file."""

    id = models.CharField(primary_key=True, max_length=20)
    name = models.TextField()
    key = models.TextField(null=True)
    suffix = models.TextField()
    description = models.TextField(null=True)
    size = models.BigIntegerField()
    hash = models.TextField()
    digest = models.TextField()
    version = models.IntegerField()
    is_latest = models.BooleanField()
    trashed_at = models.DateTimeField(null=True)
    run_id = models.CharField(max_length=20, null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    transform = models.ForeignKey(Transform, models.PROTECT, null=True)
    created_by = models.ForeignKey(User, models.PROTECT, null=True)

    class Meta:
        app_label = "plain"
        managed = False
        db_table = "lamindb_file"
