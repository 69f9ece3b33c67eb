"""A local openEO backend over HTTP, with failures on demand: for demonstrations, rehearsals and tests."""

from openeo_jobs.simulator.backend import Simulator
from openeo_jobs.simulator.deviations import (
    Answers,
    Deviations,
    Documents,
    Federation,
    Files,
    Lags,
    Listing,
)
from openeo_jobs.simulator.faults import Fault
from openeo_jobs.simulator.planning import Failures
from openeo_jobs.simulator.profiles import PROFILES, Profile
from openeo_jobs.simulator.request_log import LoggedRequest
from openeo_jobs.simulator.truth import TrueBatchJob, Truth

__all__ = [
    "PROFILES",
    "Answers",
    "Deviations",
    "Documents",
    "Failures",
    "Fault",
    "Federation",
    "Files",
    "Lags",
    "Listing",
    "LoggedRequest",
    "Profile",
    "Simulator",
    "TrueBatchJob",
    "Truth",
]
