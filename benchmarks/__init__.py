"""Measurements behind decisions; each is a command that prints what `docs/decisions/` quotes."""
