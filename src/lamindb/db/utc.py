"""Days and hours in queries are in UTC, like stored times, whatever zone a host project has."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone

_UTC = "UTC"


class UTCOperations:
    """Mixed in before a Django class of a database's operations."""

    def selected(self, field: Any, column: str) -> tuple[str, list[Any]]:
        """Return what is selected for a field's column, and the conversions of the values that are read so."""
        return column, self.get_db_converters(field.cached_col)  # type: ignore[attr-defined]

    def datetime_cast_date_sql(self, sql: str, params: Any, tzname: str | None) -> Any:
        """Return SQL for the day of a timestamp."""
        del tzname
        return super().datetime_cast_date_sql(sql, params, _UTC)  # type: ignore[misc]

    def datetime_cast_time_sql(self, sql: str, params: Any, tzname: str | None) -> Any:
        """Return SQL for the time of day of a timestamp."""
        del tzname
        return super().datetime_cast_time_sql(sql, params, _UTC)  # type: ignore[misc]

    def datetime_extract_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None) -> Any:
        """Return SQL for a field of a timestamp, such as its month."""
        del tzname
        return super().datetime_extract_sql(lookup_type, sql, params, _UTC)  # type: ignore[misc]

    def datetime_trunc_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None) -> Any:
        """Return SQL that truncates a timestamp."""
        del tzname
        return super().datetime_trunc_sql(lookup_type, sql, params, _UTC)  # type: ignore[misc]

    def date_trunc_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None = None) -> Any:
        """Return SQL that truncates a date, or the date of a timestamp; only the latter has a zone."""
        return super().date_trunc_sql(lookup_type, sql, params, tzname and _UTC)  # type: ignore[misc]

    def time_trunc_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None = None) -> Any:
        """Return SQL that truncates a time, or the time of a timestamp; only the latter has a zone."""
        return super().time_trunc_sql(lookup_type, sql, params, tzname and _UTC)  # type: ignore[misc]

    def year_lookup_bounds_for_datetime_field(self, value: int, iso_year: bool = False) -> Any:
        """Return the first and the last timestamp of a year."""
        with timezone.override(datetime.UTC):
            return super().year_lookup_bounds_for_datetime_field(value, iso_year)  # type: ignore[misc]
