"""The fields of our models.

A model annotates each field with the type of its values, which type checkers read with and without Django's plugin;
the classes of fields are typed as `Any` for that.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.db.models.query_utils import DeferredAttribute

from lamindb.core.verbs import verb

BooleanField: Any = models.BooleanField
CharField: Any = models.CharField
IntegerField: Any = models.IntegerField
JSONField: Any = models.JSONField
TextField: Any = models.TextField


class _RelatedAttribute(ForwardManyToOneDescriptor):  # type: ignore[type-arg]  # Django has none while it runs.
    """The record of a relation, which is asked for as other records are."""

    field: Any

    def get_object(self, instance: Any) -> Any:
        """Return the record; what Django says of one that is not there, it says."""
        value, alias = instance.__dict__.get(self.field.attname), instance._state.db
        if value is None or alias is None:
            return super().get_object(instance)
        found = self.field.related_model.objects.using(alias).filter(id=value).one_or_none()
        return super().get_object(instance) if found is None else found


class _ForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A relation to a record."""

    forward_related_accessor_class = _RelatedAttribute

    def deconstruct(self) -> Any:
        """Show itself to migrations as Django's own field."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class LazyAttribute(DeferredAttribute):
    """A field of an unsaved file that is computed when it is read, such as its hash."""

    def __get__(self, record: Any, cls: Any = None) -> Any:
        """Return the value, working it out first where the record can."""
        if record is not None and self.field.attname not in record.__dict__:
            compute = getattr(record, "_compute", None)
            if compute is not None and record._state.adding:
                compute()
        return super().__get__(record, cls)


class _LazyTextField(models.TextField):  # type: ignore[type-arg]
    """Text that may be worked out late."""

    descriptor_class = LazyAttribute

    def deconstruct(self) -> Any:
        """Show itself to migrations as plain text."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs


class _LazyBigIntegerField(models.BigIntegerField):  # type: ignore[type-arg]
    """A number that may be worked out late."""

    descriptor_class = LazyAttribute

    def deconstruct(self) -> Any:
        """Show itself to migrations as a plain number."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.BigIntegerField", args, kwargs


class _TimeField(models.DateTimeField):  # type: ignore[type-arg]
    """A time in UTC, also where a value has no time zone; a date means its start."""

    def to_python(self, value: Any) -> Any:
        """Turn a time, a day, or either as ISO 8601 text, into an aware time."""
        if isinstance(value, str):
            try:
                value = datetime.datetime.fromisoformat(value)
            except ValueError:
                return super().to_python(value)
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            value = datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
        if isinstance(value, datetime.datetime) and value.tzinfo is None:
            value = value.replace(tzinfo=datetime.UTC)
        return super().to_python(value)

    def deconstruct(self) -> Any:
        """Show itself to migrations as Django's own field."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, kwargs


class StatusAttribute(DeferredAttribute):
    """Reads a status; one that says `running` is checked against the process first."""

    def __get__(self, record: Any, cls: Any = None) -> Any:
        """Return the current status."""
        value = super().__get__(record, cls)
        if value == "running" and not record._state.adding:
            return verb("lamindb.runs.liveness.status_of")(record)
        return value

    def __set__(self, record: Any, value: Any) -> None:
        """Set the status."""
        record.__dict__[self.field.attname] = value


class _StatusField(models.TextField):  # type: ignore[type-arg]
    """The status of a run."""

    descriptor_class = StatusAttribute

    def deconstruct(self) -> Any:
        """Show itself to migrations as plain text."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs


ForeignKey: Any = _ForeignKey
LazyBigIntegerField: Any = _LazyBigIntegerField
LazyTextField: Any = _LazyTextField
StatusField: Any = _StatusField
TimeField: Any = _TimeField
