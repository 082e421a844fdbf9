"""The coverage of a tenant's collections, with remedies."""
