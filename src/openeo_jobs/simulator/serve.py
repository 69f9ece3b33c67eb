"""Serve a simulator until somebody interrupts, for the command `openeo-jobs simulate`."""

from __future__ import annotations

import time
from collections.abc import Callable

from openeo_jobs.simulator.backend import Simulator

_NAP_SECONDS = 1.0
"""A wait without end could not be interrupted on Windows."""


def run(simulator: Simulator, *, announce: Callable[[Simulator], None]) -> None:
    """Start *simulator*, call *announce* when it answers, and serve until Ctrl-C; then stop it and return."""
    with simulator:
        announce(simulator)
        try:
            while True:
                time.sleep(_NAP_SECONDS)
        except KeyboardInterrupt:
            return
