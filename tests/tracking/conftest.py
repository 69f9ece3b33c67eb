"""Close what the benches of a test have opened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bench import Bench


@pytest.fixture(autouse=True)
def _close_benches() -> Iterator[None]:
    yield
    while Bench.opened:
        Bench.opened.pop().close()
