"""Time zones as JSON lists, `[package, ...]`, and back to the same kind of object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from functools import cache
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from openeo_jobs.frames.refusal import RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePackage:
    """A package that makes time zones: what it takes to make the same one again, and how."""

    describe: Callable[[Any], list[Any] | None]
    build: Callable[..., tzinfo]


def encode_zone(zone: tzinfo) -> list[Any]:
    """Write a time zone as the package that made it and what that needs to make it again."""
    package = type(zone).__module__.partition(".")[0]
    known = PACKAGES.get(package)
    description = known.describe(zone) if known else None
    if description is None:
        raise RefusedError(
            f"the time zone {zone!r} cannot be stored",
            "use one with a name, such as zoneinfo.ZoneInfo('Europe/Berlin')",
        )
    return [package, *description]


def decode_zone(cell: list[Any]) -> tzinfo:
    """Make the time zone that `encode_zone` wrote."""
    return _build_zone(*cell)


@cache
def _build_zone(package: str, *description: Any) -> tzinfo:
    return PACKAGES[package].build(*description)


def _seconds(zone: tzinfo) -> float:
    offset = zone.utcoffset(None)
    assert offset is not None
    return offset.total_seconds()


def _describe_datetime(zone: timezone) -> list[Any]:
    seconds, name = _seconds(zone), zone.tzname(None)
    return [seconds] if name == _build_datetime(seconds).tzname(None) else [seconds, name]


def _build_datetime(seconds: float, *name: str) -> tzinfo:
    return timezone(timedelta(seconds=seconds), *name)


def _describe_zoneinfo(zone: ZoneInfo) -> list[Any] | None:
    return [zone.key] if zone.key else None


def _describe_pytz(zone: Any) -> list[Any]:
    return [zone.zone] if zone.zone else [_seconds(zone) // 60]


def _build_pytz(name: str | float) -> tzinfo:
    pytz: Any = import_module("pytz")
    made: tzinfo = pytz.timezone(name) if isinstance(name, str) else pytz.FixedOffset(int(name))
    return made


def _describe_dateutil(zone: Any) -> list[Any] | None:
    name = type(zone).__name__
    if name == "tzutc":
        return []
    return [_seconds(zone), zone.tzname(None)] if name == "tzoffset" else None


def _build_dateutil(seconds: float | None = None, name: str | None = None) -> tzinfo:
    tz: Any = import_module("dateutil.tz")
    made: tzinfo = tz.tzutc() if seconds is None else tz.tzoffset(name, seconds)
    return made


PACKAGES = {
    "datetime": ZonePackage(describe=_describe_datetime, build=_build_datetime),
    "zoneinfo": ZonePackage(describe=_describe_zoneinfo, build=ZoneInfo),
    "pytz": ZonePackage(describe=_describe_pytz, build=_build_pytz),
    "dateutil": ZonePackage(describe=_describe_dateutil, build=_build_dateutil),
}
