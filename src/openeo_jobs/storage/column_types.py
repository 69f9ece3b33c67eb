"""How values that SQLite has no type for are kept in columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa


class Instant(sa.types.TypeDecorator[datetime]):
    """An instant in UTC: aware in Python, ISO-8601 with `Z` and milliseconds in SQLite."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """Write an aware datetime."""
        return None if value is None else to_text(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """Read it back, aware; what SQLite's own functions wrote without a zone is UTC."""
        if value is None:
            return None
        instant = datetime.fromisoformat(value)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Seconds(sa.types.TypeDecorator[timedelta]):
    """A length of time, as seconds with fractions."""

    impl = sa.Float
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: sa.Dialect) -> float | None:
        """Write a length."""
        return None if value is None else value.total_seconds()

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> timedelta | None:
        """Read it back."""
        return None if value is None else timedelta(seconds=value)


class ForeignText(sa.types.TypeDecorator[str]):
    """Text from elsewhere (errors, backends): what UTF-8 cannot hold is written with backslashes."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Write it so that the database can hold it."""
        return None if value is None else value.encode("utf-8", "backslashreplace").decode()


def to_text(instant: datetime) -> str:
    """Return *instant* as the database keeps it: `2024-01-31T12:00:00.000Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
