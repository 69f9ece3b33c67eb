"""How numbers, durations, instants and costs read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

WIDTH = 80

_EIGHTHS = " ▏▎▍▌▋▊▉"
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def format_seconds(seconds: float) -> str:
    """Return a duration in the unit that suits it: `1.9 s`, `31 min`, `2.5 h`, `3.1 d`."""
    for length, unit in _UNITS:
        if seconds >= 2 * length:
            value = seconds / length
            return f"{value:.0f} {unit}" if unit == "min" or value >= 10 else f"{value:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def format_length(length: timedelta) -> str:
    """Return a duration in whole units: `12 s`, `3 min`."""
    seconds = max(0, round(length.total_seconds()))
    return f"{seconds} s" if seconds < 120 else format_seconds(seconds)


def format_instant(at: datetime, *, now: datetime) -> str:
    """Return *at* in local time: `14:07` today, `3 Nov 09:12` this year, else with the year."""
    local, today = at.astimezone(), now.astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {local:%b}{year} {local:%H:%M}"


def format_span(first: datetime, last: datetime, *, now: datetime) -> str:
    """Return a span of time, or its instant where both ends read the same."""
    texts = [format_instant(at, now=now) for at in (first, last)]
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def format_amount(amount: float) -> str:
    """Return costs with as many digits as matter: `601,330`, `12.40`, `0.0031`."""
    if amount and abs(amount) < 0.1:
        return f"{amount:.2g}"
    return f"{amount:,.0f}" if abs(amount) >= 10_000 else f"{amount:,.2f}"


def format_costs(costs: Mapping[str, float]) -> str:
    """Return costs by currency, side by side and never summed: `84.20 credits and 12.40 EUR`."""
    return " and ".join(f"{format_amount(total)} {currency}".strip() for currency, total in costs.items())


def format_size(size: float) -> str:
    """Return a number of bytes: `11.2 kB`."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


def list_rows(rows: Iterable[int], *, most: int = 6) -> str:
    """Return row numbers, the first few: `rows 118, 131, 907, ...`."""
    numbers = list(rows)
    shown = ", ".join(map(str, numbers[:most])) + (", ..." if len(numbers) > most else "")
    return f"{'row' if len(numbers) == 1 else 'rows'} {shown}"


def draw_bar(share: float, width: int) -> str:
    """Draw a bar that fills *share* of *width* columns, to the eighth."""
    eighths = min(max(int(share * width * 8), 0), width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + _EIGHTHS[rest]).rstrip()


def wrap(text: str, *, indent: str = "", width: int = WIDTH) -> list[str]:
    """Break *text* into lines of at most *width* columns; longer words, such as paths, stay whole."""
    return textwrap.wrap(
        " ".join(text.split()),
        width=width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
