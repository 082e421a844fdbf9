"""Whole runs under seeded schedules of faults, with everything that holds at all times watched meanwhile.

`schedule` what goes wrong, drawn from a seed · `rig` the servers · `play` one seed · `invariants` what must hold ·
`python -m tests.chaos` plays many (`make chaos SEEDS=n FIRST_SEED=m`).
"""
