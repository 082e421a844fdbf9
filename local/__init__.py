"""The embedded stack: all servers on one machine without Docker, with a simulated Graph."""

import sys

if sys.platform == "win32":
    raise ImportError("the embedded stack does not run on Windows; use docker-compose.yml")
