"""Arrays of any objects, which numpy does not try to understand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def build_object_array(values: Sequence[Any]) -> Any:
    """Return *values* as they are, lists and tuples too, in an array of dtype object."""
    array = np.empty(len(values), dtype=object)
    for position, value in enumerate(values):
        array[position] = value
    return array
