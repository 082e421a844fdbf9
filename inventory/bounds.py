"""Bounds that several packages share."""

SHARDS = 16
"""The most parts of a collection's pending items, so that waves can share them."""

ID_BEGINNING = 4
"""Characters that may stand for an id, if unique. Fewer are mostly a slip."""

NAMED = 20
"""Ids or names in an error's message."""

NAMED_IDS = 3
"""Ids in an error's message: one has 36 characters."""

SHOWN_CHARACTERS = 200
"""Characters shown of a text from elsewhere."""

TENANTS_AT_ONCE = 1000
"""Tenants that a portfolio run may sync at once."""

RETENTION_DAYS = 36_500
"""The longest retention: a century."""

RETENTION_VERSIONS = 1_000_000
"""The most versions kept of an item."""
