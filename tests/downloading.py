"""Results of one batch job, fetched as a hook that calls `super()` gets them."""

from __future__ import annotations

from pathlib import Path

from openeo_jobs.assets import Asset
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.tracking import files


def download(gateway: Gateway, batch_job_id: str, folder: Path) -> list[Asset]:
    return files.fetch_files(gateway, gateway.get_results(batch_job_id), folder)
