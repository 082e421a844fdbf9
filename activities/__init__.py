"""One thin activity for each effect: open a run, fetch pages, merge items, keep the lease, close the run.

Workflows import `definitions` and `messages` of this package alone.
"""
