"""What exists in a tenant, and what is missing."""
