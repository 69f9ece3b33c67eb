"""Costs and usage as backends write them, made numbers with units; what makes no sense is left out."""

from __future__ import annotations

import math
import re
from typing import Any

_AMOUNT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s].*?)?\s*")


def read_costs(value: object) -> float | None:
    """Read costs: a number of at least 0 (openEO API 1.2.0), also as text; None where they are not known."""
    number = _read_number(value)
    return None if number is None else float(number)


def read_usage(value: object) -> dict[str, dict[str, Any]]:
    """Read `usage`: by its field, `{"value": 12.5, "unit": "cpu-seconds"}`; `unit` is left out if not given.

    A bare number and a text such as `12.5 cpu-seconds` are read as well.
    """
    if not isinstance(value, dict):
        return {}
    amounts = {name: _read_amount(amount) for name, amount in value.items()}
    return {name: amount for name, amount in amounts.items() if amount is not None}


def _read_amount(amount: object) -> dict[str, Any] | None:
    if isinstance(amount, str):
        match = _AMOUNT.fullmatch(amount)
        return _make_amount(match[1], match[2]) if match else None
    if isinstance(amount, dict):
        return _make_amount(amount.get("value"), amount.get("unit"))
    return _make_amount(amount, None)


def _make_amount(value: object, unit: object) -> dict[str, Any] | None:
    number = _read_number(value)
    if number is None:
        return None
    return {"value": number, "unit": unit} if isinstance(unit, str) and unit else {"value": number}


def _read_number(value: object) -> int | float | None:
    """Read a number of at least 0; whole ones stay whole, as far as the database can hold them."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number) or number < 0:
        return None
    return value if isinstance(value, int) and value < 2**63 else number
