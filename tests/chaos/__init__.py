"""Whole runs under seeded schedules of faults; invariants are checked during and after them.

`schedule` the faults of a seed · `rig` the servers · `play` one seed · `invariants` the conditions that must hold ·
`python -m tests.chaos` plays many seeds (`make chaos SEEDS=n FIRST_SEED=m`).
"""
