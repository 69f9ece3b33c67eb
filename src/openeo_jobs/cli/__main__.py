"""`python -m openeo_jobs.cli`: where the command itself is not on the path."""

import sys

from openeo_jobs.cli import main

sys.exit(main())
