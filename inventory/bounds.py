"""Bounds that several packages share."""

SHARDS = 16
"""Into how many parts, at most, the pending items of one collection are divided, so that waves can share it."""

ID_BEGINNING = 4
"""Characters of an id that may stand for it where no other begins so. Fewer are a slip of the hand more often."""

NAMED = 20
"""How many ids or names an error names."""

SHOWN_CHARACTERS = 200
"""Of a foreign text, in a line of ours."""

TENANTS_AT_ONCE = 1000
"""Tenants that a portfolio run may sync at a time."""

RETENTION_DAYS = 36_500
"""The longest time for which versions and runs are kept. PostgreSQL cannot go back much further."""

RETENTION_VERSIONS = 1_000_000
"""The largest number of versions of an item that is kept."""
