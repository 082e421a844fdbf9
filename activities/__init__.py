"""One thin activity per effect: open a run, fetch pages, upsert items, keep the lease, close the run.

`messages` is what crosses Temporal, and the only module of this package that workflows import.
"""
