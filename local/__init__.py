"""The embedded stack for one machine: PostgreSQL, Temporal and a simulated Graph, one supervisor, no Docker."""

import sys

if sys.platform == "win32":
    raise ImportError("the embedded stack does not run on Windows; use docker-compose.yml")
