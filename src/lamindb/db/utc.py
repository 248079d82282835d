"""Days and hours in queries are those of UTC, as all that is stored, whatever zone a project around us has."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone

_UTC = "UTC"


class UTCOperations:
    """Mixed in before a Django class of a database's operations."""

    def datetime_cast_date_sql(self, sql: str, params: Any, tzname: str | None) -> Any:
        """Take the day of a moment."""
        del tzname
        return super().datetime_cast_date_sql(sql, params, _UTC)  # type: ignore[misc]

    def datetime_cast_time_sql(self, sql: str, params: Any, tzname: str | None) -> Any:
        """Take the time of the day of a moment."""
        del tzname
        return super().datetime_cast_time_sql(sql, params, _UTC)  # type: ignore[misc]

    def datetime_extract_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None) -> Any:
        """Take a part of a moment, such as its month."""
        del tzname
        return super().datetime_extract_sql(lookup_type, sql, params, _UTC)  # type: ignore[misc]

    def datetime_trunc_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None) -> Any:
        """Cut a moment to the beginning of such a part."""
        del tzname
        return super().datetime_trunc_sql(lookup_type, sql, params, _UTC)  # type: ignore[misc]

    def date_trunc_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None = None) -> Any:
        """Cut a day, or the day of a moment, which alone has a zone, to the beginning of such a part."""
        return super().date_trunc_sql(lookup_type, sql, params, tzname and _UTC)  # type: ignore[misc]

    def time_trunc_sql(self, lookup_type: str, sql: str, params: Any, tzname: str | None = None) -> Any:
        """Cut a time of the day, or that of a moment, which alone has a zone, to the beginning of such a part."""
        return super().time_trunc_sql(lookup_type, sql, params, tzname and _UTC)  # type: ignore[misc]

    def year_lookup_bounds_for_datetime_field(self, value: int, iso_year: bool = False) -> Any:
        """Return the first and the last moment of a year."""
        with timezone.override(datetime.UTC):
            return super().year_lookup_bounds_for_datetime_field(value, iso_year)  # type: ignore[misc]
