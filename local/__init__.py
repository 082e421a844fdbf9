"""The embedded stack for one machine: PostgreSQL, Temporal and a simulated Graph, without Docker and without servers.

`stack` runs them all under one supervisor · `postgres`, `temporal` one server each · `processes` children that never
outlive their parent · `state` the folder where everything is kept · `simulated_graph` the Graph.
"""

import sys

if sys.platform == "win32":
    raise ImportError("the embedded stack does not run on Windows; use docker-compose.yml")
