"""The order of work: deterministic, thin, no I/O. `frontier` is a run's state, `policies` has timeouts, heartbeats and
retries.
"""
