"""Bounds that several packages share."""

SHARDS = 16
"""The most parts of a collection's pending items, so that waves can share it."""

ID_BEGINNING = 4
"""Characters that may stand for an id, if unique. Fewer are mostly a slip."""

NAMED = 20
"""How many ids or names an error names."""

SHOWN_CHARACTERS = 200
"""Characters of a foreign text in our lines."""

TENANTS_AT_ONCE = 1000
"""Tenants that a portfolio run may sync at once."""

RETENTION_DAYS = 36_500
"""The longest retention; PostgreSQL cannot go back much further."""

RETENTION_VERSIONS = 1_000_000
"""The most kept versions of an item."""
