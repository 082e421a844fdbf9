"""A tenant's present and missing items."""
