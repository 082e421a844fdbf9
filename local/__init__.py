"""The embedded stack for one machine: PostgreSQL, Temporal and a simulated Graph, without Docker and without servers.

`stack` runs them all under one supervisor · `postgres`, `temporal` one server each · `processes` children that never
outlive their parent · `state` the folder where everything is kept · `simulated_graph` the Graph.
"""
