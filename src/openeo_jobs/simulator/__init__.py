"""A local openEO backend over HTTP, with failures on demand: for demonstrations, rehearsals and tests."""

from openeo_jobs.simulator.backend import Simulator
from openeo_jobs.simulator.planning import Failures
from openeo_jobs.simulator.request_log import LoggedRequest
from openeo_jobs.simulator.truth import TrueBatchJob, Truth

__all__ = ["Failures", "LoggedRequest", "Simulator", "TrueBatchJob", "Truth"]
