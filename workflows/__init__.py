"""The order of work: deterministic, thin, no I/O."""
