"""The coverage of each collection of a tenant, and remedies for those that were not read."""
