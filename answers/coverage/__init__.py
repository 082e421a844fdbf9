"""Coverage of a tenant's collections, with remedies."""
